"""Looks for personal data in sampled rows: what a policy should mask, or what a policy overlooks.

No message contains a value of a row, only columns, kinds and numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.inspection import Finding, Inspection, Relation
from exporter_pipelines.contracts.privacy import PrivacyConfig
from exporter_pipelines.errors import ConfigurationError, listed
from exporter_pipelines.extras import MissingExtraError, is_installed

if TYPE_CHECKING:
    from exporter_pipelines.policy_proposals import SampledColumn

CHECK = "personal data"


def examine_personal_data(
    dataset: Dataset, inspection: Inspection, relation: Relation, *, propose: bool
) -> Iterator[Finding]:
    """Say which columns seem to have personal data that no policy masks.

    Args:
        dataset, inspection, relation: What is examined.
        propose: Whether a policy is printed.

    Raises:
        ExporterError: the database cannot be read, or does not answer in time.
    """
    if not is_installed("privacy"):
        if propose:
            yield _unavailable(dataset)
        return
    # Only here: without the extra, everything else works.
    from exporter_pipelines.policy_proposals import sampled_columns

    try:
        columns = sampled_columns(dataset, inspection, relation)
    except ConfigurationError as error:  # `extra_columns: keep` adds one that the policy lacks
        yield Finding("FAIL", dataset.name, CHECK, error.message.rstrip("."), error.hint)
        return
    if dataset.config.privacy is None:
        yield _without_policy(dataset, relation, columns, propose=propose)
    else:
        yield _under(dataset, dataset.config.privacy, columns)


def _unavailable(dataset: Dataset) -> Finding:
    error = MissingExtraError("privacy")
    return Finding("warn", dataset.name, CHECK, error.message.rstrip("."), error.hint)


def _without_policy(
    dataset: Dataset, relation: Relation, columns: list[SampledColumn], *, propose: bool
) -> Finding:
    from exporter_pipelines.policy_proposals import proposed_policy

    proposal = proposed_policy(columns)
    # A policy names these as well, since the table may get them.
    lacking = {
        c.name for c in dataset.schema.columns if dataset.source_name(c.name) not in relation.types
    }
    personal = {name: why for name, why in proposal.personal.items() if name not in lacking}
    found = listed(f"{name} ({why})" for name, why in personal.items())
    message = f"Exported as it is, without a privacy policy: {found}"
    if not personal:
        message = "None found in names, types and values of the columns"
    hint = f"`exporter doctor --dataset {dataset.name} --privacy` prints a policy."
    if propose:
        hint = (
            f"This policy was made from {proposal.rows:,} rows. Check each line, create a key "
            f"(docs/privacy.md), and put it below `attributes:`\n{proposal.yaml().rstrip()}"
        )
    return Finding("ok", dataset.name, CHECK, message, hint)


def _under(dataset: Dataset, policy: PrivacyConfig, columns: list[SampledColumn]) -> Finding:
    """Whether columns that stay as they are have identifiers."""
    found = []
    for column in columns:
        how = policy.of(column.name)
        is_kept = (how is None or how.action == "keep") and column.kind in ("string", "json")
        if is_kept and (counted := column.contents.counted()):
            found.append(f"{column.name} ({counted})")
    rows = max((len(column.values) for column in columns), default=0)
    if not found:
        message = f"The columns that the policy keeps have no identifiers in {rows:,} sampled rows"
        return Finding("ok", dataset.name, CHECK, message)
    return Finding(
        "warn", dataset.name, CHECK,
        f"The policy keeps columns with identifiers, in {rows:,} sampled rows: {listed(found)}",
        "Give each an action, such as `scan`, under `privacy: columns:`.",
    )  # fmt: skip
