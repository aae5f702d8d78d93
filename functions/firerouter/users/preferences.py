"""What users choose for themselves: their default model of each feature that allows a choice.

users/{user}   {models: {<feature>: <model id>}}
"""

from __future__ import annotations

from typing import Final

from google.cloud.firestore import DELETE_FIELD, AsyncClient

from ..errors import SettingsUnavailable
from ..firestore import Paths, content, get, put, translated

CHANGE_S: Final = 8.0


class PreferenceStore:
    """Stores preferences in Firestore, where their owner may read them too."""

    def __init__(self, firestore: AsyncClient) -> None:
        self._paths = Paths(firestore)

    async def models(self, uid: str) -> dict[str, str]:
        """Return the model that a user chose for each feature, without malformed ones.

        Raises:
            SettingsUnavailable: Firestore did not answer.
            FirestoreForbidden: The functions' service account lacks a role.
        """
        with translated(SettingsUnavailable, "preferences_unavailable"):
            models = content(await get(self._paths.user(uid))).get("models")
        if not isinstance(models, dict):
            return {}
        return {feature: model for feature, model in models.items() if isinstance(model, str)}

    async def set_model(self, uid: str, feature: str, model: str | None) -> None:
        """Store a user's model for a feature; None returns to the feature's own.

        Raises:
            SettingsUnavailable: Firestore did not answer.
            FirestoreForbidden: The functions' service account lacks a role.
        """
        value = DELETE_FIELD if model is None else model
        with translated(SettingsUnavailable, "preferences_unavailable"):
            document = {"models": {feature: value}}
            await put(self._paths.user(uid), document, merge=True, within_s=CHANGE_S)
