"""The privacy policy that `exporter init` proposes for a table, and its text in a `defs.yaml`.

It is written as comments. A policy needs a key, and only the owner of the data knows which columns
must stay readable. A new dataset with an active policy could not be exported before both are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from exporter_pipelines.contracts.column_settings import extra_columns
from exporter_pipelines.contracts.inspection import Inspection
from exporter_pipelines.errors import NotAnsweredError
from exporter_pipelines.extras import install_command, is_installed
from exporter_pipelines.new_datasets.plan import Plan

if TYPE_CHECKING:
    from exporter_pipelines.policy_proposals import SampledColumn

_MARK = "  # A privacy policy, proposed from "
_COMMENTS = (
    _MARK + "{rows}: check each line. Not active.\n"
    "  # To use it, remove `# ` from the lines below, and create a key: docs/privacy.md\n"
)
_ACTIVE = _MARK + "{rows}: check each line. It needs a key: docs/privacy.md\n"
_NOT_INSTALLED = f"no policy is proposed without its packages: {install_command('privacy')}"
_NOT_ANSWERED = "no policy is proposed: the database did not answer in time"


def with_proposal(plan: Plan, inspection: Inspection, *, active: bool) -> Plan:
    """A plan with a privacy policy, or with the reason why there is none.

    Args:
        plan: Without one.
        inspection: Of the database.
        active: Whether the policy is written as a setting, and not as comments.

    Raises:
        ExporterError: the database cannot be read.
    """
    if not is_installed("privacy"):
        return replace(plan, no_proposal=_NOT_INSTALLED)
    # Only here: without the extra, everything else works.
    from exporter_pipelines.policy_proposals import proposed_policy

    try:
        columns = list(_columns(plan, inspection))
    except NotAnsweredError:
        return replace(plan, no_proposal=_NOT_ANSWERED)
    return replace(plan, proposal=proposed_policy(columns), with_policy=active)


def _columns(plan: Plan, inspection: Inspection) -> Iterator[SampledColumn]:
    from exporter_pipelines.policy_proposals import SampledColumn, kind_of

    types = plan.relation.types
    texts = inspection.sampled_texts(plan.relation, list(types))
    for column in plan.columns:
        is_joined = column.name == plan.key.joined_name
        yield SampledColumn(
            column.name,
            column.kind,
            texts.get(column.source, ()),
            is_key=column.name == plan.key_name,
            is_time=column.source == plan.time.column,
            type_name=types.get(column.source, ""),
            parts=tuple(map(plan.exported, plan.key.columns)) if is_joined else (),
        )
    if plan.like is None:
        return
    present = {column.name for column in plan.columns}
    for missing in plan.like.schema.columns:
        if missing.name not in present:
            yield SampledColumn(missing.name, kind_of(missing))
    used = {column.source for column in plan.columns}
    extra = extra_columns(
        plan.like.schema, used, inspection.extra_types(plan.relation, plan.zone.name)
    )
    for each in extra if plan.left_out else ():
        source = str(each.extra)
        yield SampledColumn(
            each.name, kind_of(each), texts.get(source, ()), type_name=types[source], is_extra=True
        )


def policy_text(plan: Plan) -> str:
    """The end of a `defs.yaml`: the policy, or the policy as comments; empty without one."""
    if plan.proposal is None:
        return ""
    rows = "1 row" if plan.proposal.rows == 1 else f"{plan.proposal.rows:,} rows"
    text = plan.proposal.yaml()
    if plan.with_policy:
        return "\n" + _ACTIVE.format(rows=rows) + text
    lines = (f"  # {line.removeprefix('  ')}\n" for line in text.splitlines())
    return "\n" + _COMMENTS.format(rows=rows) + "".join(lines)


def without_proposal(text: str) -> str:
    """A `defs.yaml` without a proposal that was written before and is not active."""
    lines = text.splitlines(keepends=True)
    start = next((n for n, line in enumerate(lines) if line.startswith(_MARK)), None)
    if start is None:
        return text
    end = start
    while end < len(lines) and lines[end].startswith("  #"):
        end += 1
    if lines[end:] and lines[end].startswith("  privacy:"):
        return text
    return "".join(lines[:start]).rstrip("\n") + "\n" + "".join(lines[end:])
