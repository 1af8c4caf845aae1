"""How subjects to erase are written in published days: as they are, and as pseudonyms.

A day was exported under one key, scope and epoch, or without a policy. The manifest says which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.contracts.privacy import AddressScheme, PrivacyConfig
from exporter_pipelines.errors import ConfigurationError, PublishedDayDamagedError
from exporter_pipelines.privacy.erasing import Erasing
from exporter_pipelines.privacy.keys import KeyRing, key_ring, master_key
from exporter_pipelines.privacy.subject_lookup import KnownSubjects, add_masked
from exporter_pipelines.privacy.subjects import Subject, new_subject_id

_NOT_MASKED = ("keep", "unlisted")


class KeyNotSetError(ConfigurationError):
    """A day was exported with a privacy key that is not set, so it cannot be searched."""


@dataclass(frozen=True)
class Space:
    """What decides about pseudonyms: days of one space have the same ones.

    Attributes:
        key: Name of the key.
        key_id: Of the key.
        scope, epoch: See `privacy.keys.KeyRing`.
        addresses: Scheme of IP addresses.
    """

    key: str
    key_id: str
    scope: str
    epoch: str
    addresses: AddressScheme

    @classmethod
    def of(cls, manifest: Manifest) -> Space | None:
        """Of a published day; None if it was exported without a policy.

        Raises:
            PublishedDayDamagedError: the manifest does not say which key and scheme were used.
        """
        privacy = manifest.privacy
        if privacy is None:
            return None
        policy: Any = manifest.export_config.get("privacy")
        try:
            used = {name: policy[name] for name in ("key", "addresses") if name in policy}
            stated = PrivacyConfig.model_validate(used)
        except (TypeError, ValidationError):
            raise PublishedDayDamagedError(
                f"{MANIFEST_NAME} of {manifest.dataset} {manifest.partition} does not say which "
                "privacy key was used.",
                "Export the day again.",
            ) from None
        return cls(stated.key, privacy.key_id, privacy.scope, privacy.epoch, stated.addresses)

    def keys(self) -> KeyRing:
        """The keys of this space.

        Raises:
            KeyNotSetError: neither the key nor one before it has this id.
        """
        for text in settings.privacy_keys(self.key):
            keys = KeyRing(master_key(self.key, text), self.scope, self.epoch)
            if keys.key_id == self.key_id:
                return keys
        raise KeyNotSetError(
            f"It was exported with the privacy key {self.key_id}, which is not that in {self.key}.",
            f"Set {settings.previous_name(self.key)} to the key before.",
        )


@dataclass
class SubjectForms:
    """The subjects of one request, in all forms that published days may have.

    Attributes:
        subjects: As the operator wrote them.
        request: Id of the request; what is found carries it as its label.
        whole_rows: Whether rows are removed even if only a text has a subject.
    """

    subjects: Sequence[Subject]
    request: str
    whole_rows: bool = False
    _ids: dict[Subject, str] = field(default_factory=dict)
    _known: dict[Space, KnownSubjects] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._whole = {self.request} if self.whole_rows else set[str]()
        self._raw = KnownSubjects()
        for subject in self.subjects:
            self._raw.add(subject, self.request)

    def id_of(self, subject: Subject) -> str:
        """A random id of a subject, the same in all datasets of one run."""
        return self._ids.setdefault(subject, new_subject_id())

    def erasing(self, manifest: Manifest) -> Erasing:
        """What erases the subjects from a published day.

        Raises:
            KeyNotSetError: its pseudonyms cannot be computed.
        """
        key = manifest.source_setting("key") or ""
        space, privacy = Space.of(manifest), manifest.privacy
        if space is None or privacy is None:
            return Erasing(self._raw, key=key, whole_rows=self._whole)
        masked = [n for n, title in privacy.columns.items() if title not in _NOT_MASKED]
        return Erasing(self._raw, self._masked(space), masked, key=key, whole_rows=self._whole)

    def erasing_anything(self, spaces: Iterable[Space]) -> Erasing:
        """What finds the subjects where it is not known under which policy a text was written."""
        everything = KnownSubjects()
        for subject in self.subjects:
            everything.add(subject, self.request)
        for space in spaces:
            self._add(everything, space)
        return Erasing(everything, key="")

    def _masked(self, space: Space) -> KnownSubjects:
        if space not in self._known:
            known = KnownSubjects()
            self._add(known, space)
            self._known[space] = known
        return self._known[space]

    def _add(self, known: KnownSubjects, space: Space) -> None:
        keys, policy = space.keys(), PrivacyConfig(addresses=space.addresses)
        for subject in self.subjects:
            add_masked(known, subject, self.request, policy, keys)


def current_spaces(dataset: Dataset, day: str) -> list[Space]:
    """The spaces in which a day that was not published may have been written."""
    policy = dataset.config.privacy
    if policy is None:
        return []
    return [
        Space(policy.key, keys.key_id, keys.scope, keys.epoch, policy.addresses)
        for text in settings.privacy_keys(policy.key)
        for keys in [key_ring(policy, dataset.name, day, text)]
    ]
