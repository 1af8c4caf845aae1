"""The requests to a bucket, through obstore; every one goes through `Bucket._request`.

Belongs here: single requests, their retries and errors. Does not belong here: names (`keys`) and
what requests mean together (`pointers`, `store`).
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from exporter_pipelines.contracts.staged_day import Data
from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores.objects.location import Location
from exporter_pipelines.stores.objects.part_writer import PartWriter
from exporter_pipelines.stores.objects.problems import (
    BucketRefusedError,
    no_bucket,
    unavailable,
)

if TYPE_CHECKING:
    from obstore import PutMode

MAX_SMALL_BYTES = 256 * 1024 * 1024
"""Limit of objects that are read as a whole, as on disk."""

COPY_LIMIT_BYTES = 4 * 1024**3
"""Above it, an object is copied through this process: S3 copies at most 5 GB in one request."""

_SLOW_S = 5.0
_STREAM_BYTES = 1024 * 1024
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Tag:
    """The version of an object, for a conditional write: an ETag, or a generation of GCS."""

    e_tag: str | None
    version: str | None

    @property
    def plain(self) -> str | None:
        """The ETag without quotes, which Azure leaves out in listings."""
        return _plain(self.e_tag)

    @property
    def mode(self) -> PutMode:
        """For `obstore.put`, which refuses keys with None."""
        named = {"e_tag": self.e_tag, "version": self.version}
        return {key: value for key, value in named.items() if value is not None}  # type: ignore[return-value]


@dataclass(frozen=True)
class Object:
    """A small object as it was read."""

    content: bytes
    tag: Tag
    modified: dt.datetime


@dataclass(frozen=True)
class Listed:
    """An object in a listing; `key` is below the location, `e_tag` as in `Tag.plain`."""

    key: str
    size: int
    e_tag: str | None
    modified: dt.datetime

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]


class ConditionFailedError(Exception):
    """The store refused a conditional write. It may refuse its own retry of a successful one."""


class Bucket:
    """A bucket and prefix.

    Args:
        location: Of the bucket.
        client: A store of obstore whose prefix is that of `location`.

    Attributes:
        before_request: Called with verb and key before each request; for tests.
    """

    def __init__(self, location: Location, client: Any) -> None:
        self.location, self._client = location, client
        self.before_request: Callable[[str, str], object] = lambda _verb, _key: None

    def __repr__(self) -> str:
        return f"Bucket({self.location.uri()!r})"  # the client's own may show more

    # Reading

    def read(self, key: str) -> Object | None:
        """A small object; None when there is none. Empty content if it is far too large."""

        def request() -> Object:
            found = self._client.get(key)
            meta = found.meta
            content = b"" if meta["size"] > MAX_SMALL_BYTES else found.bytes().to_bytes()
            return Object(content, _tag(meta), meta["last_modified"])

        return self._request("read", key, request, missing=None)

    def stream(self, key: str, offset: int = 0) -> Iterator[Data]:
        """The bytes of an object from an offset on.

        Raises:
            FileNotFoundError: there is no such object.
            OutputUnavailableError: as for every request, also in the middle.
        """

        def request() -> Any:
            options: Any = {"range": {"offset": offset}} if offset else None
            return iter(self._client.get(key, options=options).stream(_STREAM_BYTES))

        # Not in the generator, which would make the request later.
        return self._chunks(key, self._request("read", key, request))

    def _chunks(self, key: str, chunks: Iterator[Data]) -> Iterator[Data]:
        while (chunk := self._translated("read", key, lambda: next(chunks, None))) is not None:
            yield chunk

    def size(self, key: str) -> int:
        """Bytes of an object.

        Raises:
            FileNotFoundError: there is no such object.
        """
        return int(self._request("read", key, lambda: self._client.head(key)["size"]))

    def listed(self, prefix: str, *, recursive: bool = True) -> list[Listed]:
        """The objects below a prefix in the order of their keys; without `recursive`, directly."""

        def request() -> list[Listed]:
            if recursive:
                found = self._client.list(prefix, chunk_size=1000).collect()
            else:
                found = self._client.list_with_delimiter(prefix)["objects"]
            objects = [
                Listed(m["path"], m["size"], _plain(m["e_tag"]), m["last_modified"]) for m in found
            ]
            return sorted(objects, key=lambda each: each.key)

        none: list[Listed] = []
        return self._request("list", prefix, request, missing=none)

    def folders(self, prefix: str) -> list[str]:
        """The names directly below a prefix that have objects below them, sorted."""

        def request() -> list[str]:
            found = self._client.list_with_delimiter(prefix)["common_prefixes"]
            return sorted(each.rstrip("/").rpartition("/")[2] for each in found)

        none: list[str] = []
        return self._request("list", prefix, request, missing=none)

    # Writing

    def write(self, key: str, content: bytes, content_type: str = "") -> None:
        """Write an object, also over another one."""
        about: Any = {"Content-Type": content_type} if content_type else None
        self._written(
            key, lambda: self._client.put(key, content, attributes=about, use_multipart=False)
        )

    def create(self, key: str, content: bytes) -> bool:
        """Write a new object; False when there is another one, which stays."""
        try:
            self.write_if(key, content, None)
        except (ConditionFailedError, OutputUnavailableError) as error:
            # The answer to a successful write may be lost, and its retry be refused.
            found = self.read(key)
            if found is None:
                raise OutputUnavailableError(
                    f"Cannot write {self.location.uri(key)}: the store says that it exists, but it "
                    "does not."
                ) from None if isinstance(error, ConditionFailedError) else error
            return found.content == content
        return True

    def write_if(self, key: str, content: bytes, tag: Tag | None) -> Tag:
        """Write an object if it is still the one with this tag; for None, if there is none.

        After any exception, the object may have been written.

        Returns:
            The tag of what was written.

        Raises:
            ConditionFailedError: the store refused it.
        """
        mode: PutMode = "create" if tag is None else tag.mode

        def request() -> Tag:
            return _tag(self._client.put(key, content, mode=mode))

        return self._request("write", key, request, once=True)

    def writer(self, key: str, part_bytes: int) -> PartWriter:
        """A new large object, written in parts; its methods raise errors of obstore."""
        return PartWriter(self._client, key, part_bytes)

    def feed(self, key: str, write: Callable[[Data], object], data: Data) -> None:
        """Give bytes to a writer, which may send a part."""
        self._translated("write", key, lambda: write(data))

    def finish(self, key: str, close: Callable[[], object]) -> None:
        """Send the last part of a writer, after which the object exists."""
        self._written(key, close, once=True)

    def upload(self, path: Path, key: str, part_bytes: int) -> None:
        """Write a file to an object, replacing another one at once."""
        file = self.writer(key, part_bytes)
        with path.open("rb") as content:
            while data := content.read(_STREAM_BYTES):
                self.feed(key, file.write, data)
        self.finish(key, file.close)

    def copy(self, source: str, target: str, size: int, part_bytes: int) -> None:
        """Copy an object, replacing another one at once.

        Raises:
            FileNotFoundError: there is no source.
        """
        if size <= COPY_LIMIT_BYTES:
            self._request("write", target, lambda: self._client.copy(source, target))
            return
        file = self.writer(target, part_bytes)
        for chunk in self.stream(source):
            self.feed(target, file.write, chunk)
        self.finish(target, file.close)

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects; those that do not exist are ignored."""
        for start in range(0, len(keys), 1000):
            some = list(keys[start : start + 1000])
            try:
                self._request("remove", some[0], lambda some=some: self._client.delete(some))  # type: ignore[misc]
            except FileNotFoundError:
                # Azure and GCS report a missing object, and may not have removed the others.
                for key in some if len(some) > 1 else ():
                    with suppress(FileNotFoundError):
                        self._request("remove", key, lambda key=key: self._client.delete(key))  # type: ignore[misc]

    # Every request

    def _written(self, key: str, request: Callable[[], _Result], *, once: bool = False) -> _Result:
        """Make a request that writes a new object, or over another one."""
        try:
            return self._request("write", key, request, once=once)
        except FileNotFoundError:
            problem = no_bucket(self.location, key)
        raise problem

    def _request(
        self,
        verb: str,
        key: str,
        request: Callable[[], _Result],
        *,
        once: bool = False,
        **missing: _Result,
    ) -> _Result:
        """Make a request.

        Args:
            verb, key: For messages.
            request: Makes it.
            once: Whether it has another effect when it is made again.
            **missing: `missing`: the result when there is no such object.
        """
        self.before_request(verb, key)
        try:
            return (self._translated if once else self._repeated)(verb, key, request)
        except FileNotFoundError:
            if "missing" in missing:
                return missing["missing"]
            raise

    def _repeated(self, verb: str, key: str, request: Callable[[], _Result]) -> _Result:
        """Repeat a request whose answer was cut: obstore repeats only what got no answer."""
        for wait_s in (0.2, 1.0):
            began = time.monotonic()
            try:
                return self._translated(verb, key, request)
            except BucketRefusedError:
                raise
            except OutputUnavailableError:
                if time.monotonic() - began > _SLOW_S:
                    raise  # obstore has already repeated it for long
            time.sleep(wait_s)
        return self._translated(verb, key, request)

    def _translated(self, verb: str, key: str, request: Callable[[], _Result]) -> _Result:
        from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

        problem: Exception
        try:
            return request()
        except FileNotFoundError:
            problem = FileNotFoundError(2, "no such object", self.location.uri(key))
        except (AlreadyExistsError, PreconditionError):
            problem = ConditionFailedError(self.location.uri(key))
        except (BaseError, OSError, ValueError) as error:
            problem = unavailable(error, self.location, verb, key)
        # Not in the `except` block: the original error would be its context, and logged with it.
        raise problem


def _tag(meta: Any) -> Tag:
    return Tag(meta["e_tag"], meta["version"])


def _plain(e_tag: str | None) -> str | None:
    return e_tag.strip('"') if e_tag else None
