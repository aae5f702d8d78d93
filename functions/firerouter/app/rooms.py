"""What each room of an instance offers to the rooms above it, and to the table of callables.

A face imports its modules only when a name is used, and annotations are not evaluated: importing
this module loads none of the rooms.
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import (
    admin,
    conversations,
    delivery,
    features,
    files,
    generation,
    keys,
    models,
    reports,
    users,
)
from ..callable import Wire


@dataclass(frozen=True, slots=True)
class Wires:
    """How callables are answered: for all users, and for admins only."""

    user: Wire[users.Caller]
    admin: Wire[users.Caller]


@dataclass(frozen=True, slots=True)
class Users:
    """Users: their identity, preferences and pseudonyms."""

    preferences: users.PreferenceStore
    pseudonyms: users.Pseudonyms


@dataclass(frozen=True, slots=True)
class Keys:
    """OpenRouter keys, and where they are stored."""

    pool: keys.KeyPool
    refusals: keys.KeyRefusals
    slots: keys.KeySlotStore
    vault: keys.Vault


@dataclass(frozen=True, slots=True)
class Models:
    """The catalog of models, and how users search it."""

    catalog: models.Catalog
    search: models.ModelSearch


@dataclass(frozen=True, slots=True)
class Features:
    """The settings of features and of the app, and which models users may choose."""

    store: features.FeatureStore
    app_settings: features.AppSettingsStore
    choice: features.ModelChoice
    listing: features.FeatureListing


@dataclass(frozen=True, slots=True)
class Files:
    """Files that users attach, and images that models generate."""

    attachments: files.Attachments
    images: files.ImageStore
    storage: files.FileStorage


@dataclass(frozen=True, slots=True)
class Delivery:
    """A generation on another instance: its progress, its queue, its stop."""

    progress: delivery.Progress
    follower: delivery.Follower
    handover: delivery.Handover
    stops: delivery.StopSignals
    stop: delivery.StopCallable


@dataclass(frozen=True, slots=True)
class Conversations:
    """Conversations, and the callables that rename, delete and export them."""

    store: conversations.ConversationStore
    deletion: conversations.ConversationDeletion
    callables: conversations.ConversationCallables


@dataclass(frozen=True, slots=True)
class Generation:
    """Prompts, comparisons and embeddings, and the reconciler of their ledger entries."""

    prompts: generation.PromptExecution
    comparisons: generation.ModelComparison
    embeddings: generation.EmbeddingExecution
    allowance: generation.AllowanceCallable
    reconciler: generation.Reconciler
    cache: generation.ResponseCache

    def interrupt(self) -> None:
        """End everything that is running, because the instance is shutting down."""
        self.prompts.interrupt()
        self.embeddings.interrupt()


@dataclass(frozen=True, slots=True)
class Reports:
    """Usage reports, alerts, and the export and erasure of users' data."""

    rollup: reports.RollUp
    upkeep: reports.UsageUpkeep
    usage: reports.UsageReportCallable
    erasure: reports.Erasure
    user_data: reports.UserDataCallables


@dataclass(frozen=True, slots=True)
class Admin:
    """What admins call."""

    features: admin.FeatureAdmin
    deletion: admin.FeatureDeletion
    overview: admin.FeatureOverview
    app_settings: admin.AppSettingsAdmin
    keys: admin.KeyAdmin
    key_check: admin.KeyCheck
    key_list: admin.KeyListing
    model_check: admin.ModelCheck
    users: admin.UserAdmin
