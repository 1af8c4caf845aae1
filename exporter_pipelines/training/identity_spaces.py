"""Whether pseudonyms agree in the days that a training set compares with each other.

Days whose policies have another key, epoch or scope have another pseudonym for the same device. A
group or a join over such days would take one device for two.

Belongs here: the spaces of the days, and the refusal before anything is built.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.training.inputs import Input, Inputs

_NO_POLICY = "no privacy policy"
_KEYED = ("pseudonym", "hash", "scan")
"""Actions whose result depends on the key; the others give the same value under every key."""


class DifferentPseudonymsError(ConfigurationError):
    """The days of a training set have different pseudonyms in a column that it compares."""

    docs_anchor = "the-days-have-different-pseudonyms"


@dataclass(frozen=True)
class Comparison:
    """A setting, and the columns whose values it compares.

    Attributes:
        setting: Such as `split.groups`.
        columns: (dataset's days, column).
    """

    setting: str
    columns: Sequence[tuple[Input, str]]

    def has_pseudonyms(self) -> bool:
        """Whether a column has pseudonyms on any of the days."""
        return any(
            manifest.privacy.columns.get(column, "").startswith(_KEYED)
            for days, column in self.columns
            for manifest in days.days.values()
            if manifest.privacy
        )

    def spaces(self) -> dict[str, list[str]]:
        """Space -> the days that are in it, as in `logs 2026-11-01 to 2026-11-03`."""
        found: dict[str, list[str]] = {}
        for each in {days.dataset: days for days, _ in self.columns}.values():
            for space, days in _days_by_space(each).items():
                found.setdefault(space, []).extend(f"{each.dataset} {text}" for text in days)
        return found


def refuse_different_pseudonyms(config: TrainingSetConfig, inputs: Inputs) -> None:
    """Refuse days whose pseudonyms differ in a column that groups or joins compare.

    Raises:
        DifferentPseudonymsError: the message names the days of each space.
    """
    for found in disagreements(config, inputs):
        column = found.columns[0][1]
        spaces = "; ".join(
            f"{space}: {', '.join(days)}" for space, days in sorted(found.spaces().items())
        )
        raise DifferentPseudonymsError(
            f"Training set {config.name!r}: {found.setting} compares {column!r}, which has "
            f"different pseudonyms on the chosen days ({spaces}).",
            "Choose days with the same pseudonyms, or a column that has none.",
        )


def disagreements(config: TrainingSetConfig, inputs: Inputs) -> Iterator[Comparison]:
    """The settings that compare pseudonyms of different spaces."""
    for each in _comparisons(config, inputs):
        if each.has_pseudonyms() and len(each.spaces()) > 1:
            yield each


def _comparisons(config: TrainingSetConfig, inputs: Inputs) -> Iterator[Comparison]:
    rows = inputs.rows
    if config.split.groups:
        yield Comparison("split.groups", [(rows, config.split.groups)])
    if config.windows:
        yield Comparison("windows.group", [(rows, config.windows.group)])
    for number, source in enumerate(config.labels):
        ((theirs, ours),) = source.by.items()
        labels = inputs.labels[source.dataset]
        yield Comparison(f"labels[{number}].by", [(rows, ours), (labels, theirs)])


def all_spaces(inputs: Inputs) -> list[str]:
    """The spaces of all days, sorted; empty without a privacy policy."""
    spaces = {
        _space(manifest)
        for each in (inputs.rows, *inputs.labels.values())
        for manifest in each.days.values()
    }
    return [] if spaces <= {_NO_POLICY} else sorted(spaces)


def _space(manifest: Manifest) -> str:
    """Key id, epoch and scope. Raw values match no pseudonym, so they are a space as well."""
    found = manifest.privacy
    if found is None:
        return _NO_POLICY
    return f"key {found.key_id}, epoch {found.epoch}, scope {found.scope}"


def _days_by_space(days: Input) -> dict[str, list[str]]:
    """Space -> ranges of days, `2026-11-01 to 2026-11-03`."""
    found: dict[str, list[list[str]]] = {}
    for day, manifest in sorted(days.days.items()):
        ranges = found.setdefault(_space(manifest), [])
        if ranges and dt.date.fromisoformat(day) - dt.date.fromisoformat(
            ranges[-1][-1]
        ) == dt.timedelta(1):
            ranges[-1].append(day)
        else:
            ranges.append([day])
    return {
        space: [each[0] if len(each) == 1 else f"{each[0]} to {each[-1]}" for each in ranges]
        for space, ranges in found.items()
    }
