"""An admin tries settings before anybody else gets them."""

from __future__ import annotations

from typing import Any

from .admincontract import TestFeatureSettings
from .callable import Call
from .configure import Configure
from .contract import parse
from .errors import FeatureUnknown
from .features import Features
from .generate import Generate
from .identity import Caller
from .settings import Feature


class LiveTest:
    """The use case `test_feature_settings`."""

    def __init__(self, *, features: Features, configure: Configure, generate: Generate) -> None:
        self._features = features
        self._configure = configure
        self._generate = generate

    async def test(self, call: Call[Caller]) -> dict[str, Any]:
        """One prompt through settings that nobody has saved, or through those that are stored,
        switched on or not. The frames and the result of `execute_prompt`, with `test: true` and
        the `warnings` of a save; `revision` is the one that is stored. The ledger marks it.

        Raises SettingsRefused, FeatureUnknown and what `execute_prompt` raises.
        """
        request = parse(TestFeatureSettings, call.data)
        stored = (await self._features.read(request.feature)).feature
        before = stored.settings if stored else None
        warnings = []
        if request.settings is not None:
            settings, found = await self._configure.check(request.settings, before)
            warnings = [finding.to_wire() for finding in found.warnings]
        elif before is not None:
            settings = before
        else:
            raise FeatureUnknown(field="feature")
        revision = stored.revision if stored else 0
        tried = Feature(request.feature, True, revision, settings, test=True)
        result = await self._generate.run(call, request, tried)
        return {**result, "test": True, "warnings": warnings}
