"""The subjects that were erased, as the ledger records them.

A tombstone is an HMAC. Its key is that of the dataset's privacy policy, or a secret of the output
for a dataset without a policy. A dataset that is defined later has no tombstones of its own; those
of the other datasets count for it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter_pipelines import settings
from exporter_pipelines.contracts.erasure import ErasedSubject
from exporter_pipelines.contracts.ledger import Entry, now
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.extras import require

if TYPE_CHECKING:
    from exporter_pipelines.privacy.subject_lookup import Tombstone


@dataclass(frozen=True)
class ErasedSubjects:
    """The subjects that must be in no export of a dataset.

    Attributes:
        tombstones: To recognise them.
        times: Id of a request -> when it was recorded.
    """

    tombstones: tuple[Tombstone, ...]
    times: dict[str, dt.datetime]

    @property
    def ids(self) -> frozenset[str]:
        """Of the subjects."""
        return frozenset(each.subject.id for each in self.tombstones)


def erased_subjects(store: Store, dataset: str) -> ErasedSubjects | None:
    """The subjects that must be in no export of a dataset; None if nothing was ever erased.

    Raises:
        MissingExtraError: the packages for the search are not installed.
        ConfigurationError: the key of a tombstone is not set.
    """
    entries = _entries(store, dataset)
    if not entries:
        return None
    require("privacy")
    from exporter_pipelines.privacy.subject_lookup import Tombstone

    found: dict[str, Tombstone] = {}
    for entry in entries:
        for subject in entry.subjects:
            if subject.id not in found:
                secret = tombstone_secret(store, subject)
                found[subject.id] = Tombstone(subject, secret, entry.reason or "")
    return ErasedSubjects(tuple(found.values()), {e.reason or "": e.at for e in reversed(entries)})


def erased_ids(store: Store, dataset: str) -> frozenset[str]:
    """Ids of the subjects that are recorded for a dataset itself, as they are at this moment."""
    entries, _ = store.read_ledger(dataset, None)
    return frozenset(s.id for e in entries if e.event == "erased" for s in e.subjects)


def own_tombstones(store: Store, dataset: str) -> Iterator[ErasedSubject]:
    """The tombstones that are recorded for a dataset itself."""
    for entry in _erased(store, dataset):
        yield from entry.subjects


def recorded_at(store: Store, dataset: str, request: str) -> dt.datetime:
    """When a request was recorded; now, if all its subjects had been erased before."""
    entries = _entries(store, dataset)
    return next((entry.at for entry in entries if entry.reason == request), now())


def tombstone_secret(store: Store, subject: ErasedSubject) -> bytes:
    """The key of the HMAC of a tombstone.

    Raises:
        ConfigurationError: it is made of a privacy key that is not set.
    """
    if subject.key is None:
        return secret_of_output(store)
    for text in settings.privacy_keys(subject.key):
        secret, key_id = secret_of_key(subject.key, text)
        if key_id == subject.key_id:
            return secret
    raise ConfigurationError(
        f"A subject was erased under the privacy key {subject.key_id}, which {subject.key} is not "
        "any more, so it cannot be kept out of the export.",
        f"Set {settings.previous_name(subject.key)} to the key before.",
    )


def secret_of_output(store: Store) -> bytes:
    """The secret of an output, for datasets without a policy."""
    return store.salted("erased subjects").encode()


def secret_of_key(name: str, text: str) -> tuple[bytes, str]:
    """The secret that is derived from a privacy key, and the id of the key."""
    from exporter_pipelines.privacy.keys import KeyRing, master_key

    keys = KeyRing(master_key(name, text), "erasure", "none")
    return keys.key("tombstone"), keys.key_id


def _entries(store: Store, dataset: str) -> Sequence[Entry]:
    """The entries of erasures: those of the dataset first, then of all others."""
    others = (each for each in store.recorded_datasets() if each != dataset)
    return [entry for each in (dataset, *others) for entry in _erased(store, each)]


def _erased(store: Store, dataset: str) -> list[Entry]:
    return [entry for entry in store.entries(dataset, None) if entry.event == "erased"]
