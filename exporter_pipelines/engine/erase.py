"""Erases subjects from published days, rejected rows, replaced exports and training sets.

The tombstones are recorded first, so that an export that runs meanwhile does not bring the subjects
back. Then every day is searched and, if it has a subject, published again without it. A process
that dies leaves old days and new days; running it again finds and finishes the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.contracts.store import GenerationChangedError, Store
from exporter_pipelines.contracts.training_manifest import TrainingManifest
from exporter_pipelines.contracts.versions import Versions
from exporter_pipelines.engine.erase_day import (
    DaySearch,
    rewrite_day,
    search_day,
    without_subjects,
)
from exporter_pipelines.engine.erase_training_sets import (
    finish_builds,
    manifest_of,
    remove_version,
    search_version,
)
from exporter_pipelines.engine.erased_subjects import (
    own_tombstones,
    recorded_at,
    secret_of_key,
    secret_of_output,
)
from exporter_pipelines.engine.retention import Removal, remove
from exporter_pipelines.engine.subject_forms import (
    KeyNotSetError,
    Space,
    SubjectForms,
    current_spaces,
)
from exporter_pipelines.errors import PublishedDayDamagedError, SupersededError
from exporter_pipelines.privacy.erasing import Erased, Erasing

Place = Literal["export", "rejected rows", "replaced export", "training set"]
_TRIES = 5


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


@dataclass
class Erase:
    """One run of `exporter erase`.

    Attributes:
        store: The exports.
        forms: The subjects.
        datasets: Name -> definition, of all that are defined.
        days: First and last day to look at; None for all.
        apply: Whether to erase what is found.
        found, problems: Filled while `run` is iterated.
    """

    store: Store
    forms: SubjectForms
    datasets: Mapping[str, Dataset]
    days: tuple[str, str] | None = None
    apply: bool = False
    found: list[Found] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def run(self, progress: Callable[[str, str], object] = lambda _dataset, _day: None
            ) -> Iterator[Found]:  # fmt: skip
        """Search everything, and yield what is found once it is erased.

        Raises:
            OutputUnavailableError: the exports cannot be read or written.
        """
        names = self._names()
        if self.apply:
            for name in names:
                self.store.adopt(name)
            made = [self._tombstones(name) for name in sorted({*names, *self.datasets})]
            for entry in made:  # only once all keys are known to be there
                if entry.subjects:
                    self.store.record(entry)
        for name in names:
            yield from self._noted(self._in_dataset(name, progress))
        for name in self.store.training_sets():
            progress(name, "")
            yield from self._noted(self._in_training_set(name))

    def _tombstones(self, name: str) -> Entry:
        """The tombstones of the subjects that a dataset does not have yet.

        The secret is that of the dataset's privacy key, or of the output if it has no policy.

        Raises:
            ConfigurationError: the key is not set.
        """
        policy = self.datasets[name].config.privacy if name in self.datasets else None
        key, key_id, secret = None, None, secret_of_output(self.store)
        if policy is not None:
            key = policy.key
            secret, key_id = secret_of_key(key, settings.privacy_key(key))
        known = {(each.kind, each.digest) for each in own_tombstones(self.store, name)}
        made = [
            subject.tombstone(secret, self.forms.id_of(subject), key, key_id)
            for subject in self.forms.subjects
        ]
        new = tuple(each for each in made if (each.kind, each.digest) not in known)
        return Entry(event="erased", dataset=name, reason=self.forms.request, subjects=new)

    def _noted(self, found: Iterator[Found]) -> Iterator[Found]:
        for each in found:
            self.found.append(each)
            yield each

    def _names(self) -> list[str]:
        return sorted({*self.store.datasets(), *self.store.recorded_datasets()})

    def _in_dataset(self, dataset: str, progress: Callable[[str, str], object]) -> Iterator[Found]:
        seen: dict[str, str | None] = {}
        # An export may publish a day while others are searched; it is looked at again.
        for _ in range(_TRIES):
            changed = [
                day
                for day in self._chosen(self.store.published_days(dataset))
                if self.store.generation(dataset, day) != seen.get(day, "")
            ]
            for day in changed:
                progress(dataset, day)
                yield from self._guarded(dataset, day, self._in_day)
                seen[day] = self.store.generation(dataset, day)
            if not changed or not self.apply:
                break
        for day in self._chosen(self.store.quarantined_days(dataset)):
            yield from self._guarded(dataset, day, self._in_other_quarantines)
        for day, name in self.store.replaced_exports(dataset):
            if self._chosen([day]):
                yield from self._guarded(dataset, day, partial(self._in_replaced, name))
        if self.apply:
            self.store.clean_up(dataset)
            self.store.remove_superseded(dataset)

    def _chosen(self, days: Collection[str]) -> list[str]:
        first, last = self.days or ("", "9")
        return [day for day in sorted(days) if first <= day <= last]

    def _guarded(
        self, dataset: str, day: str, search: Callable[[str, str], Iterator[Found]]
    ) -> Iterator[Found]:
        """What a search finds; a day that cannot be searched is a problem, not the end."""
        try:
            yield from search(dataset, day)
        except (PublishedDayDamagedError, KeyNotSetError, SupersededError) as error:
            self.problems.append(Problem(dataset, day, str(error)))

    def _in_day(self, dataset: str, day: str) -> Iterator[Found]:
        for _ in range(_TRIES):
            manifest = self._manifest(self.store.read_manifest(dataset, day), dataset, day)
            if manifest is None:
                return
            erasing = self.forms.erasing(manifest)
            try:
                opened = self.store.published_day(dataset, day)
                found = search_day(self.store, opened, manifest, erasing)
                if found and self.apply:
                    found = self._rewrite(dataset, day, erasing)
            except (GenerationChangedError, FileNotFoundError):
                continue
            self._check_settings(manifest)
            if found:
                yield _found(dataset, day, "export", found)
            return
        raise SupersededError(
            f"{dataset} {day} is exported again and again.", "Erase when no export is running."
        )

    def _rewrite(self, dataset: str, day: str, erasing: Erasing) -> DaySearch:
        at = recorded_at(self.store, dataset, self.forms.request)
        return rewrite_day(self.store, dataset, day, erasing, self.forms.request, at)

    def _manifest(self, data: bytes | None, dataset: str, day: str) -> Manifest | None:
        manifest = Manifest.if_readable(data)
        if data is not None and manifest is None:
            raise PublishedDayDamagedError(
                f"{MANIFEST_NAME} of {dataset} {day} cannot be read.", "Export the day again."
            )
        return manifest

    def _check_settings(self, manifest: Manifest) -> None:
        """Settings are published as well; only the operator can change them."""
        if self.forms.erasing_anything(()).is_in_document(manifest.export_config):
            self.problems.append(
                Problem(
                    manifest.dataset,
                    manifest.partition,
                    "Its settings have the subject, and manifests state them. Remove it from the "
                    "defs.yaml, and export the day again.",
                )
            )

    def _in_other_quarantines(self, dataset: str, day: str) -> Iterator[Found]:
        """Rejected rows of held days, and of attempts that are not the published one."""
        published = Manifest.if_readable(self.store.read_manifest(dataset, day))
        named = ""
        if published and published.quarantine:
            named = published.quarantine.path.rpartition("/")[2]
        spaces = set(self._spaces(dataset, day, published))
        erasing, erased = self.forms.erasing_anything(spaces), Erased()
        try:
            names = self.store.quarantine_files(dataset, day)
        except FileNotFoundError:
            return
        for name in names:
            if name == named:
                continue
            with self.store.open_quarantine(dataset, day, name) as file:
                for _ in without_subjects(file, name, erasing, erased):
                    pass
        if not erased:
            return
        if self.apply:
            self._remove_quarantine(dataset, day, published)
        yield Found(dataset, day, "rejected rows", erased.rows.total(), 0, dict(erased.columns))

    def _remove_quarantine(self, dataset: str, day: str, published: Manifest | None) -> None:
        if published is not None:
            # Publishing a day removes the rejected rows of all its other attempts.
            self._rewrite(dataset, day, self.forms.erasing(published))
            return
        size = self.store.size_of(dataset, day, "quarantine")
        reason = f"erasure: {self.forms.request}"
        remove(self.store, Removal(dataset, day, "quarantine", None, size, reason))

    def _spaces(self, dataset: str, day: str, published: Manifest | None) -> Iterator[Space]:
        if published is not None and (space := Space.of(published)):
            yield space
        if dataset in self.datasets:
            yield from current_spaces(self.datasets[dataset], day)

    def _in_replaced(self, name: str, dataset: str, day: str) -> Iterator[Found]:
        """A replaced export that is kept for its rows; with a subject it is removed as a whole."""
        try:
            export = self.store.replaced_export(dataset, name)
            data = export.read_small(MANIFEST_NAME)
        except FileNotFoundError:
            return
        manifest = self._manifest(data, dataset, day)
        assert manifest is not None
        found = search_day(
            self.store, export, manifest, self.forms.erasing(manifest), rejected=False
        )
        found.rejected.add(self._in_files_of_replaced(dataset, name, manifest))
        if not found:
            return
        if self.apply and self.store.remove_replaced(dataset, name):
            self.store.record(
                Entry(
                    event="removed", dataset=dataset, day=day, kept_as=name,
                    reason=f"erasure: {self.forms.request}",
                )
            )  # fmt: skip
        yield _found(dataset, day, "replaced export", found)

    def _in_files_of_replaced(self, dataset: str, name: str, manifest: Manifest) -> Erased:
        """What the rejected rows have that are kept with a replaced export."""
        erased, known = Erased(), {MANIFEST_NAME, *(file.path for file in manifest.files)}
        with self.store.replaced_export(dataset, name) as export:
            for each in export.names():
                if each not in known:
                    with export.open(each) as file:
                        for _ in without_subjects(file, each, self.forms.erasing(manifest), erased):
                            pass
        return erased

    def _in_training_set(self, name: str) -> Iterator[Found]:
        versions = self.store.versions(name)
        if self.apply:
            finish_builds(versions)
        for each in versions.stored():
            yield from self._guarded(name, each, partial(self._in_version, versions))

    def _in_version(self, versions: Versions, name: str, each: str) -> Iterator[Found]:
        version = versions.version(each)
        if version is None:
            return
        spaces = set(self._spaces_of_version(manifest_of(version)))
        erased = search_version(version, self.forms.erasing_anything(spaces))
        if not erased:
            return
        if self.apply:
            remove_version(versions, each)
        yield Found(name, each, "training set", erased.rows.total(), 0, dict(erased.columns))

    def _spaces_of_version(self, manifest: TrainingManifest | None) -> Iterator[Space]:
        """Those of its days now, and those that its days had when it was built."""
        for dataset, days in manifest.inputs.items() if manifest else ():
            for day in days:
                yield from self._spaces(dataset, day, _readable(self.store, dataset, day))
            policy = self.datasets[dataset].config.privacy if dataset in self.datasets else None
            for stated in manifest.privacy if manifest and policy else ():
                if len(parts := stated.split()) == 3 and policy:
                    key_id, epoch, scope = parts
                    yield Space(policy.key, key_id, scope, epoch, policy.addresses)


def _readable(store: Store, dataset: str, day: str) -> Manifest | None:
    return Manifest.if_readable(store.read_manifest(dataset, day))


def _found(dataset: str, day: str, place: Place, search: DaySearch) -> Found:
    columns = Counter(search.exported.columns) + Counter(search.rejected.columns)
    rows = search.exported.rows.total() + search.rejected.rows.total()
    return Found(dataset, day, place, rows, search.exported.values.total(), dict(columns))
