"""What users choose for themselves: their own default model of each feature that allows a choice.

users/{uid}   {models: {<feature>: <model id>}}
"""

from __future__ import annotations

from typing import Any

from google.cloud.firestore import DELETE_FIELD, AsyncClient

from .. import limits
from ..errors import SettingsUnavailable
from ..firestore import AWAY, key_of


class PreferenceStore:
    """Keeps them in Firestore, where their owner may read them too."""

    def __init__(self, firestore: AsyncClient) -> None:
        self._firestore = firestore

    async def models(self, uid: str) -> dict[str, str]:
        """The model chosen for each feature; what was typed otherwise is as good as absent.

        Raises SettingsUnavailable.
        """
        try:
            snapshot = await self._document(uid).get(retry=None, timeout=limits.READ_S)
        except AWAY:
            raise SettingsUnavailable from None
        models = (snapshot.to_dict() or {}).get("models")
        if not isinstance(models, dict):
            return {}
        return {feature: model for feature, model in models.items() if isinstance(model, str)}

    async def set_model(self, uid: str, feature: str, model: str | None) -> None:
        """None: the feature's own again. Raises SettingsUnavailable."""
        value: Any = DELETE_FIELD if model is None else model
        try:
            await self._document(uid).set(
                {"models": {feature: value}}, merge=True, retry=None, timeout=limits.CHANGE_S
            )
        except AWAY:
            raise SettingsUnavailable from None

    def _document(self, uid: str) -> Any:
        return self._firestore.document("users", key_of(uid))
