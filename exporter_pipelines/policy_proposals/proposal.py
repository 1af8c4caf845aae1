"""The policy that a table needs, and its YAML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import yaml

from exporter_pipelines.contracts.privacy import ColumnPolicy, PrivacyConfig
from exporter_pipelines.policy_proposals.columns import SampledColumn
from exporter_pipelines.policy_proposals.decisions import Decision, decided
from exporter_pipelines.privacy.known_names import KnownNames
from exporter_pipelines.privacy.names import DayNames

_REPEATS = "has names that another column masks"
_UNSURE = ("text", "JSON", "no values in the sample")
_ROUNDS = 3
_COMMENT_AT = 60


@dataclass(frozen=True)
class Proposal:
    """A policy that can be used as it is, once there is a key.

    Attributes:
        decisions: Column -> what is done with it, and why; in the order of the columns.
        rows: Number of rows that were read.
    """

    decisions: dict[str, Decision]
    rows: int

    @property
    def policy(self) -> PrivacyConfig:
        """The policy."""
        return PrivacyConfig(columns=self.masked, keep=self.kept)

    @property
    def masked(self) -> dict[str, ColumnPolicy]:
        """Column -> what is done with it, of the columns that change."""
        return {n: d.policy for n, d in self.decisions.items() if d.policy.action != "keep"}

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns that stay as they are."""
        return tuple(name for name in self.decisions if name not in self.masked)

    @property
    def personal(self) -> dict[str, str]:
        """Column -> why, of the columns that seem to have personal data."""
        masked = self.masked
        return {n: d.why for n, d in self.decisions.items() if n in masked and d.why not in _UNSURE}

    def yaml(self) -> str:
        """`privacy:` for a `defs.yaml`, indented by two spaces."""
        lines = [
            "privacy:",
            _commented("  key: EXPORTER_PRIVACY_KEY", "the NAME of a variable, never the key"),
        ]
        if masked := self.masked:
            lines.append("  columns:")
            lines += [
                self._line(f"    {_flow({name: _plain(masked[name])})}", name) for name in masked
            ]
        if self.kept:
            lines.append("  keep:")
            lines += [self._line(f"    - {_scalar(name)}", name) for name in self.kept]
        return "\n".join(f"  {line}" for line in lines) + "\n"

    def _line(self, text: str, name: str) -> str:
        return _commented(text, self.decisions[name].why)


def proposed_policy(columns: Sequence[SampledColumn]) -> Proposal:
    """Propose a policy for the columns of a table.

    Args:
        columns: In the order of the export; their values are of the same rows.
    """
    found = {column.name: decision for column in columns if (decision := decided(column))}
    for column in columns:  # a key that is joined from columns is no better than these
        masked = [part for part in column.parts if part in found and _changes(found[part])]
        if masked and not _changes(found[column.name]):
            found[column.name] = Decision(ColumnPolicy(action="hash"), "joined from such columns")
    for _ in range(_ROUNDS):
        repeating = _repeating(columns, found)
        for column in repeating:
            action = "hash" if column.is_key else "scan"
            found[column.name] = Decision(ColumnPolicy(action=action), _REPEATS)
        if not repeating:
            break
    return Proposal(found, max((len(column.values) for column in columns), default=0))


def _changes(decision: Decision) -> bool:
    return decision.policy.action != "keep"


def _repeating(columns: Sequence[SampledColumn], found: dict[str, Decision]) -> list[SampledColumn]:
    """Columns that would stay as they are, but have names which other columns mask.

    The leak check would hold their days.
    """
    policy = Proposal(found, 0).policy
    names = DayNames(policy)
    sampled = {c.name: pa.array(c.values, pa.string()) for c in columns if c.values}
    for name, values in sampled.items():
        names.add(pa.RecordBatch.from_pydict({name: values}))
    known = KnownNames(names.kinds)
    return [
        column
        for column in columns
        if column.name in policy.keep and column.kind == "string" and column.values
        if known.find(sampled[column.name].cast(pa.large_string()).fill_null(""))[2]
    ]


def _plain(policy: ColumnPolicy) -> dict[str, object]:
    return policy.model_dump(exclude_defaults=True)


def _commented(text: str, comment: str) -> str:
    return f"{text:<{_COMMENT_AT}} # {comment}" if comment else text


def _scalar(text: str) -> str:
    """Text as a YAML value on one line."""
    return _dumped(text, text.isprintable()).removesuffix("...").strip()


def _flow(mapping: dict[str, object]) -> str:
    """A mapping of one column as YAML on one line."""
    ((name, value),) = mapping.items()
    return f"{_scalar(name)}: {_dumped(value, True)}"


def _dumped(value: object, is_plain: bool) -> str:
    # In double quotes, YAML escapes line breaks and what a terminal must not receive.
    dumped = yaml.safe_dump(
        value, default_flow_style=True, default_style=None if is_plain else '"', sort_keys=False,
        width=10**6, allow_unicode=is_plain,
    )  # fmt: skip
    return str(dumped).strip()
