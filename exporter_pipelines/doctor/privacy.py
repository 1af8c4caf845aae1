"""Checks that a dataset with a privacy policy can be exported: its packages and its key."""

from __future__ import annotations

from collections.abc import Iterator

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.inspection import Finding, Level
from exporter_pipelines.contracts.privacy import PrivacyConfig
from exporter_pipelines.errors import ConfigurationError, MissingSettingError
from exporter_pipelines.extras import MissingExtraError, require
from exporter_pipelines.privacy.keys import KeyRing, master_key

CHECK = "privacy"


def examine_privacy(dataset: Dataset) -> Iterator[Finding]:
    """Check the key of a policy; nothing without one. No message contains the key.

    A preset with a policy comes with the project, so a key that is not set is only a warning.
    """
    policy = dataset.config.privacy
    if policy is None:
        return
    try:
        require("privacy")
        key = master_key(policy.key, settings.privacy_key(policy.key))
    except ConfigurationError as error:
        unused = isinstance(error, (MissingSettingError, MissingExtraError))
        level: Level = "warn" if unused else "FAIL"
        yield Finding(level, dataset.name, CHECK, error.message.rstrip("."), error.hint)
        return
    key_id = KeyRing(key, "shared", "none").key_id
    kept = [c.name for c in dataset.schema.columns if c.name not in policy.masked]
    yield Finding(
        "ok",
        dataset.name,
        CHECK,
        f"Key {key_id}, epoch {policy.epoch}. Masked: {_masked(policy)}. "
        f"Unchanged: {', '.join(kept)}",
    )


def _masked(policy: PrivacyConfig) -> str:
    """`ip; scanned for identifiers: message`: a scanned text may still name persons."""
    scanned = [name for name, column in policy.masked.items() if column.action == "scan"]
    masked = ", ".join(name for name in policy.masked if name not in scanned) or "none"
    if not scanned:
        return masked
    return (
        f"{masked}; scanned for identifiers: {', '.join(scanned)} "
        "(names that are in no column are not found)"
    )
