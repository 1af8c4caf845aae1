"""What one run of `exporter erase` works on, and what it reports.

The parts of the run share it: days (`erase`), other exports (`erase_other_exports`) and training
sets (`erase_training_sets`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.erase_day import DaySearch, rewrite_day
from exporter_pipelines.engine.erased_subjects import recorded_at
from exporter_pipelines.engine.subject_forms import Space, SubjectForms, current_spaces
from exporter_pipelines.errors import PublishedDayDamagedError
from exporter_pipelines.privacy.erasing import Erasing

Place = Literal["export", "rejected rows", "replaced export", "training set"]


@dataclass(frozen=True)
class Found:
    """Something that has a subject.

    Attributes:
        dataset: Of the day; the name of a training set.
        day: `YYYY-MM-DD`; of a training set the version.
        place: What it is.
        rows: Rows that are removed.
        values: Texts in which the subject is redacted.
        columns: Column -> values that are or have a subject.
    """

    dataset: str
    day: str
    place: Place
    rows: int = 0
    values: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """Something that could not be searched, so that a subject may still be there."""

    dataset: str
    day: str
    reason: str


@dataclass(frozen=True)
class Scope:
    """What a run works on.

    Attributes:
        store: The exports.
        forms: The subjects.
        datasets: Name -> definition, of all that are defined.
        apply: Whether to erase what is found.
    """

    store: Store
    forms: SubjectForms
    datasets: Mapping[str, Dataset]
    apply: bool = False

    def spaces(self, dataset: str, day: str) -> Iterator[Space]:
        """The spaces in which the texts of a day may have been written."""
        published = Manifest.if_readable(self.store.read_manifest(dataset, day))
        if published is not None and (space := Space.of(published)):
            yield space
        if dataset in self.datasets:
            yield from current_spaces(self.datasets[dataset], day)

    def rewrite(self, dataset: str, day: str, erasing: Erasing) -> DaySearch:
        """Publish a day without the subjects; raises as `rewrite_day`."""
        at = recorded_at(self.store, dataset, self.forms.request)
        return rewrite_day(self.store, dataset, day, erasing, self.forms.request, at)


def readable(data: bytes | None, dataset: str, day: str) -> Manifest | None:
    """The manifest of an export; None when there is none.

    Raises:
        PublishedDayDamagedError: it is damaged, or that of another day.
    """
    manifest = Manifest.if_readable(data)
    is_own = manifest and (manifest.dataset, manifest.partition) == (dataset, day)
    if data is not None and not is_own:
        raise PublishedDayDamagedError(
            f"{MANIFEST_NAME} of {dataset} {day} cannot be read.", "Export the day again."
        )
    return manifest


def found_in(dataset: str, day: str, place: Place, search: DaySearch) -> Found:
    """What was found in an export."""
    columns = Counter(search.exported.columns) + Counter(search.rejected.columns)
    rows = search.exported.rows.total() + search.rejected.rows.total()
    return Found(dataset, day, place, rows, search.exported.values.total(), dict(columns))
