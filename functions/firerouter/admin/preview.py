"""Admins try settings before users get them."""

from __future__ import annotations

from ..callable import Call
from ..contract import CreateEmbeddings, FindingInfo, TestFeatureSettings, parse
from ..errors import FeatureUnknown, InvalidArgument
from ..features import EMBEDDING, Feature, patched
from ..generation import EmbeddingExecution, PromptExecution
from ..users import Caller
from .features import FeatureAdmin


class Preview:
    """The callable `test_feature_settings`."""

    def __init__(
        self,
        *,
        feature_admin: FeatureAdmin,
        prompts: PromptExecution,
        embeddings: EmbeddingExecution,
    ) -> None:
        self._feature_admin = feature_admin
        self._prompts = prompts
        self._embeddings = embeddings

    async def test(self, call: Call[Caller]) -> dict[str, object]:
        """Run one prompt with unsaved settings, or with the stored ones, enabled or not.

        Returns and streams what `execute_prompt` does, with `test: true` and the `warnings` of a
        save; `revision` is the stored one, and absent if unsaved settings were tried. For an
        embedding feature it is what `create_embeddings` returns, without the vectors. The ledger
        entry is marked as a test. Raises SettingsRefused, FeatureUnknown and what those two raise.
        """
        request = parse(TestFeatureSettings, call.data)
        stored = (await self._feature_admin.read(request.feature)).feature
        before = stored.settings if stored else None
        warnings: list[FindingInfo] = []
        if request.settings is not None:
            given = request.settings
            values = given if request.replace else patched(before, given, request.remove)
            settings, review = await self._feature_admin.check(values, before)
            warnings = [finding.to_wire() for finding in review.warnings]
        elif before is not None:
            settings = before
        else:
            raise FeatureUnknown(field="feature")
        revision = stored.revision if stored else 0
        unsaved = request.settings is not None
        feature = Feature(request.feature, True, revision, settings, test=True, unsaved=unsaved)
        if settings.kind == EMBEDDING:
            result = await self._embed_prompt(call, request, feature)
        else:
            origin = await self._prompts.origin_of(call)
            result = dict(await self._prompts.run(origin, request, feature))
        return {**result, "test": True, "warnings": warnings}

    async def _embed_prompt(
        self, call: Call[Caller], request: TestFeatureSettings, feature: Feature
    ) -> dict[str, object]:
        if not request.prompt:
            sentence = "prompt is required. It is the text that is embedded."
            raise InvalidArgument(sentence, field="prompt")
        embeddings = CreateEmbeddings(
            feature=request.feature,
            input=[request.prompt],
            model=request.model,
            request_id=request.request_id,
        )
        origin = await self._embeddings.origin_of(call)
        result = await self._embeddings.run(origin, embeddings, feature)
        return {name: value for name, value in result.items() if name != "embeddings"}
