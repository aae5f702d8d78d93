"""What was typed into a feature's document in Firestore's console becomes a revision of its own.

Such an edit is active within seconds, and nobody is told. The scheduled check, and every admin call
that reads the feature, notice it by the document's checksum, and record it: settings, or a draft,
that can be used get the next number, so that pages which were loaded before collide with them; and
whatever was edited gets an entry in the audit. What can't be used stays in the document as it is,
for the admin to mend, and is flagged.

A document without a checksum was typed as a whole, or is older than checksums: there the settings
are compared with those of the revision that it names.
"""

from __future__ import annotations

from .. import log
from ..callable import CallableError
from ..errors import RevisionUnknown, SettingsChanged, SettingsInvalid
from ..features import Draft, FeatureSettings, FeatureStore, StoredFeature, same_settings
from ..firestore import Change
from . import revisions
from .limits import AdminLimits
from .revisions import EDITED_BY_HAND, Author, FeatureChange

Json = dict[str, object]


class HandEdits:
    """Notices and records edits. One per instance."""

    def __init__(self, features: FeatureStore, *, limits: AdminLimits = AdminLimits()) -> None:
        self._features = features
        self._limits = limits

    async def recorded(self, id_: str, stored: StoredFeature) -> StoredFeature:
        """Return a feature as it is stored once its edits are recorded.

        If they can't be recorded now, the feature is returned as it is: a later call tries again.
        """
        try:
            for _ in range(self._limits.attempts):
                if not stored.may_be_edited:
                    return stored
                try:
                    if not await self._record(id_, stored):
                        return stored
                except SettingsChanged:
                    pass  # saved, or noticed by another call, meanwhile
                stored = await self._features.read(id_)
        except CallableError as error:
            log.warning("hand_edit_not_recorded", feature=id_, reason=error.reason)
        return stored

    async def _record(self, id_: str, stored: StoredFeature) -> bool:
        """Record the edits of a document. Return whether there were any."""
        feature, number = stored.feature, await self._features.newest_number(id_)
        changes: list[FeatureChange] = []
        fields: Json = {}
        if feature is not None and not stored.settings_unreadable:
            before = await self._settings(id_, feature.revision)
            if before is None or not same_settings(before, feature.settings):
                number = max(number, feature.revision) + 1
                changes.append(FeatureChange(feature, before, feature.settings, number))
                fields["revision"] = number
        if feature is not None and feature.draft is not None:
            draft = feature.draft
            before = await self._settings(id_, draft.revision)
            if before is None or not same_settings(before, draft.settings):
                number = max(number, draft.revision) + 1
                changes.append(
                    FeatureChange(feature, before, draft.settings, number, is_draft=True)
                )
                fields["draft"] = Draft(number, draft.settings, draft.percent).to_document()
        if stored.checksum is None and not changes and not stored.unreadable:
            return False  # as it was saved before there were checksums
        if changes:
            fields |= {"savedAt": stored.version, "savedBy": None}
        await self._commit(id_, stored, fields, changes)
        log.warning(EDITED_BY_HAND, feature=id_, revisions=[change.number for change in changes])
        return True

    async def _commit(
        self, id_: str, stored: StoredFeature, fields: Json, changes: list[FeatureChange]
    ) -> None:
        author = Author(uid="", email="", action=EDITED_BY_HAND)
        base = stored.feature.revision if stored.feature else 0
        assert stored.version is not None  # or there would be nothing to edit
        documents = [change.revision_document(author, base, stored.version) for change in changes]
        before = [change.before.to_json() for change in changes if change.before]
        await self._features.record_edit(
            id_,
            stored,
            fields,
            Change(
                by="",
                email="",
                action=EDITED_BY_HAND,
                target=f"features/{id_}",
                before={"settings": before[0]} if before else None,
                after=revisions.audited_document({**stored.document, **fields}),
            ),
            revisions=[document for document in documents if document is not None],
        )

    async def _settings(self, id_: str, number: int) -> FeatureSettings | None:
        try:
            return await self._features.revision(id_, number)
        except (RevisionUnknown, SettingsInvalid):
            return None
