"""An admin tries settings before anybody else gets them."""

from __future__ import annotations

from typing import Any

from ..callable import Call
from ..contract import CreateEmbeddings, TestFeatureSettings, parse
from ..errors import FeatureUnknown, InvalidArgument
from ..features import EMBEDDING, Feature, FeatureStore
from ..generation import EmbeddingExecution, PromptExecution
from ..users import Caller
from .features import FeatureAdmin


class Preview:
    """The use case `test_feature_settings`."""

    def __init__(
        self,
        *,
        features: FeatureStore,
        configure: FeatureAdmin,
        generate: PromptExecution,
        embed: EmbeddingExecution,
    ) -> None:
        self._features = features
        self._configure = configure
        self._generate = generate
        self._embed = embed

    async def test(self, call: Call[Caller]) -> dict[str, Any]:
        """One prompt through settings that nobody has saved, or through those that are stored,
        switched on or not. The frames and the result of `execute_prompt`, with `test: true` and
        the `warnings` of a save; `revision` is the one that is stored. The ledger marks it. Of an
        embedding feature the result of `create_embeddings`, but for the vector.

        Raises SettingsRefused, FeatureUnknown and what those two raise.
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
        if settings.kind == EMBEDDING:
            result = await self._vector(call, request, tried)
        else:
            result = await self._generate.run(call, request, tried)
        return {**result, "test": True, "warnings": warnings}

    async def _vector(
        self, call: Call[Caller], request: TestFeatureSettings, tried: Feature
    ) -> dict[str, Any]:
        if request.prompt is None:
            sentence = "prompt is required: the text to make a vector of."
            raise InvalidArgument(sentence, field="prompt")
        asked = CreateEmbeddings(
            feature=request.feature,
            input=[request.prompt],
            model=request.model,
            request_id=request.request_id,
        )
        result = await self._embed.run(call, asked, tried)
        return {name: value for name, value in result.items() if name != "embeddings"}
