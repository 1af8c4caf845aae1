"""Erases subjects from published days, rejected rows, replaced exports and training sets.

The tombstones are recorded first, so that an export that runs meanwhile does not bring the subjects
back. Then every day is searched and, if it has a subject, published again without it. A process
that dies leaves old days and new days; running it again finds and finishes the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from exporter_pipelines import settings
from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.publication import GenerationChangedError
from exporter_pipelines.engine.erase_day import search_day
from exporter_pipelines.engine.erase_other_exports import in_other_rejected_rows, in_replaced_export
from exporter_pipelines.engine.erase_scope import Found, Problem, Scope, found_in, readable
from exporter_pipelines.engine.erase_training_sets import finish_builds, in_training_set
from exporter_pipelines.engine.erased_subjects import (
    own_tombstones,
    secret_of_key,
    secret_of_output,
)
from exporter_pipelines.errors import (
    DayUnavailableError,
    ExporterError,
    MissingSettingError,
    OutputUnavailableError,
    SupersededError,
)

_TRIES = 5


@dataclass
class Erase:
    """One run of `exporter erase`.

    Attributes:
        scope: What it works on.
        days: First and last day to look at; None for all.
        found, problems: Filled while `run` is iterated.
    """

    scope: Scope
    days: tuple[str, str] | None = None
    found: list[Found] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def run(self, progress: Callable[[str, str], object] = lambda _dataset, _day: None
            ) -> Iterator[Found]:  # fmt: skip
        """Search everything, and yield what is found once it is erased.

        Raises:
            OutputUnavailableError: the exports cannot be read or written.
        """
        store = self.scope.store
        names = sorted({*store.datasets(), *store.recorded_datasets()})
        if self.scope.apply:
            self._record_tombstones(names)
        for name in names:
            yield from self._noted(self._in_dataset(name, progress))
        for name in store.training_sets():
            progress(name, "")
            yield from self._noted(self._in_training_set(name))

    def _record_tombstones(self, names: Collection[str]) -> None:
        for name in names:
            self.scope.store.adopt(name)
        made = [self._tombstones(name) for name in sorted({*names, *self.scope.datasets})]
        for entry in made:  # only once all keys are known to be there
            if entry.subjects:
                self.scope.store.record(entry)

    def _tombstones(self, name: str) -> Entry:
        """The tombstones of the subjects that a dataset does not have yet.

        The secret is that of the dataset's privacy key, or of the output if it has no policy.

        Raises:
            ConfigurationError: the key is not set.
        """
        store, forms, datasets = self.scope.store, self.scope.forms, self.scope.datasets
        policy = datasets[name].config.privacy if name in datasets else None
        key, key_id, secret = None, None, secret_of_output(store)
        if policy is not None:
            key = policy.key
            secret, key_id = secret_of_key(key, _key_of(name, key))
        whole = forms.whole_rows
        known = {
            (each.kind, each.digest)
            for each in own_tombstones(store, name)
            if each.whole_rows or not whole
        }
        made = [
            subject.tombstone(secret, forms.id_of(subject), key, key_id, whole_rows=whole)
            for subject in forms.subjects
        ]
        new = tuple(each for each in made if (each.kind, each.digest) not in known)
        return Entry(event="erased", dataset=name, reason=forms.request, subjects=new)

    def _noted(self, found: Iterator[Found]) -> Iterator[Found]:
        for each in found:
            self.found.append(each)
            yield each

    def _in_dataset(self, dataset: str, progress: Callable[[str, str], object]) -> Iterator[Found]:
        store, seen = self.scope.store, dict[str, str | None]()
        # An export may publish a day while others are searched; it is looked at again.
        for _ in range(_TRIES):
            changed = [
                day
                for day in self._chosen(store.published_days(dataset))
                if store.generation(dataset, day) != seen.get(day, "")
            ]
            for day in changed:
                progress(dataset, day)
                yield from self._guarded(dataset, day, self._in_day)
                seen[day] = store.generation(dataset, day)
            if not changed or not self.scope.apply:
                break
        self._note_what_was_not_searched(dataset, seen)
        for day in self._chosen(store.quarantined_days(dataset)):
            yield from self._guarded(dataset, day, partial(in_other_rejected_rows, self.scope))
        for day, name in store.replaced_exports(dataset):
            if self._chosen([day]):
                search = partial(in_replaced_export, self.scope, name)
                yield from self._guarded(dataset, day, search)
        if self.scope.apply:
            store.clean_up(dataset)
            store.remove_superseded(dataset)

    def _note_what_was_not_searched(self, dataset: str, seen: Mapping[str, str | None]) -> None:
        """Note what lies where an export should, such as a link: readers may follow it."""
        places = self.scope.store.structure(dataset)
        for each in places.misplaced:
            if each.kind != "mode":
                what = f"{each.path} {each.message}; it was not searched. {each.hint}"
                self.problems.append(Problem(dataset, "", what))
        for day in self._chosen(places.days):
            if seen.get(day) is None:
                what = "What lies at its place has no manifest or is a symbolic link, so it was not"
                self.problems.append(Problem(dataset, day, f"{what} searched. Export it again."))

    def _chosen(self, days: Collection[str]) -> list[str]:
        first, last = self.days or ("", "9")
        return [day for day in sorted(days) if first <= day <= last]

    def _guarded(
        self, dataset: str, day: str, search: Callable[[str, str], Iterator[Found]]
    ) -> Iterator[Found]:
        """What a search finds; a day that cannot be searched is a problem, not the end."""
        try:
            yield from search(dataset, day)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            problem = f"Something at its place cannot be read: {reason}."
            self.problems.append(Problem(dataset, day, problem))
        except ExporterError as error:
            is_of_all = isinstance(error, OutputUnavailableError)
            if is_of_all and not isinstance(error, DayUnavailableError):
                raise
            self.problems.append(Problem(dataset, day, str(error)))

    def _in_day(self, dataset: str, day: str) -> Iterator[Found]:
        scope = self.scope
        for _ in range(_TRIES):
            manifest = readable(scope.store.read_manifest(dataset, day), dataset, day)
            if manifest is None:
                return
            erasing = scope.forms.erasing(manifest)
            try:
                opened = scope.store.published_day(dataset, day)
                found = search_day(scope.store, opened, manifest, erasing)
                if found and scope.apply:
                    found = scope.rewrite(dataset, day, erasing)
            except (GenerationChangedError, FileNotFoundError):
                continue
            self._check_settings(manifest)
            if found:
                yield found_in(dataset, day, "export", found)
            return
        raise SupersededError(
            f"{dataset} {day} is exported again and again.", "Erase when no export is running."
        )

    def _check_settings(self, manifest: Manifest) -> None:
        """Settings are published as well; only the operator can change them."""
        if self.scope.forms.erasing_anything(()).is_in_document(manifest.export_config):
            self.problems.append(
                Problem(
                    manifest.dataset,
                    manifest.partition,
                    "Its settings have the subject, and manifests state them. Remove it from the "
                    "defs.yaml, and export the day again.",
                )
            )

    def _in_training_set(self, name: str) -> Iterator[Found]:
        versions = self.scope.store.versions(name)
        if self.scope.apply:
            finish_builds(versions)
        stored = map(versions.version, versions.stored())
        for each in [*filter(None, stored), *versions.left_behind()]:
            search = partial(in_training_set, self.scope, versions, each)
            yield from self._guarded(name, each.version, search)


def _key_of(dataset: str, key: str) -> str:
    """The privacy key of a dataset, also of one that was never exported."""
    try:
        return settings.privacy_key(key)
    except MissingSettingError as error:
        raise MissingSettingError(
            f"{dataset} has a privacy policy, and its key {key} is not set. Without it, the "
            "subject cannot be kept out of later exports of this dataset. Nothing was erased.",
            f"{error.hint}. If {dataset} is not needed, remove its definition instead.",
        ) from None
