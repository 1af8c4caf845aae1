"""How the published days differ from those that a training set was built from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from exporter_pipelines.contracts.store import Store
from exporter_pipelines.contracts.training_manifest import data_version
from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.training.pinning import pin
from exporter_pipelines.training.published_set import newest_set

_LISTED = 10


@dataclass(frozen=True)
class Staleness:
    """The newest version of a set, compared with what would be built now.

    Attributes:
        version: `data_version` that a build would have now.
        changes: One phrase per difference; empty when the newest version is up to date.
    """

    version: str
    changes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What changed, in one sentence."""
        if not self.changes:
            return "Built from the days that are published now."
        shown = "; ".join(self.changes[:_LISTED])
        more = len(self.changes) - _LISTED
        rest = f"; and {more} more" if more > 0 else ""
        return f"Since it was built: {shown}{rest}."


def staleness(config: TrainingSetConfig, store: Store) -> Staleness | None:
    """Compare the newest version with the published days; None when nothing was built yet.

    Raises:
        DayNotPublishedError, ColumnMismatchError, ConfigurationError: as a build would.
    """
    newest = newest_set(store, config.name)
    removed = newest is None and store.versions(config.name).newest_was_removed()
    if newest is None and not removed:
        return None
    now = pin(config, store).versions()
    version = data_version(config, now)
    if newest is None:
        return Staleness(version, ("its newest version was removed",))
    manifest = newest.manifest
    if version == manifest.data_version:
        return Staleness(version, ())
    changes = tuple(_changes(manifest.inputs, now)) or ("its settings changed",)
    return Staleness(version, changes)


def _changes(
    before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    for dataset in dict.fromkeys([*before, *now]):
        old, new = before.get(dataset, {}), now.get(dataset, {})
        for day in sorted({*old, *new}):
            if day not in new:
                yield f"{dataset} {day} is no longer used"
            elif day not in old:
                yield f"{dataset} {day} was added"
            elif old[day] != new[day]:
                yield f"{dataset} {day} was exported again"
