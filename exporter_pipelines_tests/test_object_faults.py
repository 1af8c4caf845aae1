"""Exports into a bucket that are killed, or whose requests fail, at every request."""

from __future__ import annotations

import hashlib
import random
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.errors import OutputUnavailableError, SupersededError
from exporter_pipelines.stores.objects.staging import ObjectFile
from exporter_pipelines.stores.objects.sweep import Times
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.bucket_days import (
    damage,
    generations,
    open_bucket,
)
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.http_proxy import HttpProxy, Request, http_proxy
from exporter_pipelines_tests.support.object_servers import ObjectServer

DAY = "2026-11-01"


@pytest.fixture
def proxy(s3: ObjectServer) -> Iterator[HttpProxy]:
    """Before the bucket."""
    with http_proxy(s3.endpoint) as running:
        yield running


class KilledError(BaseException):
    """Stands for SIGKILL: after one request, no other reaches the store, from any thread."""


def test_an_export_killed_at_any_request_leaves_a_whole_day(
    s3: ObjectServer, backend: Backend
) -> None:
    """Both a first export and a replacement; the next run and a sweep repair everything."""
    backend.add_logs(DAY, 5)
    backend.add_logs(DAY, 1, first_id=50, level="odd")
    export(backend.url, dataset(), "2026-11-02", open_bucket(s3))  # begins ledger and output
    died = 0
    for request in range(1, 99):
        store = open_bucket(s3)
        store.bucket.before_request = killed_from(request)
        try:
            export(backend.url, dataset(), DAY, store)
        except KilledError:
            died += 1
        else:
            break
        finally:
            assert not damage(open_bucket(s3), DAY, view=False, may_be_absent=True), request
    assert died > 14
    assert not damage(open_bucket(s3), DAY)
    swept = open_bucket(s3, Times(grace_s=-60, abandoned_s=-60))
    swept.clean_up("logs")
    assert len(generations(swept, DAY)) == 1
    assert not damage(swept, DAY)
    assert len(swept.quarantine_files("logs", DAY)) == 1
    assert swept.dead_attempts("logs") == []


def test_a_view_that_a_killed_run_left_is_repaired_by_the_sweep(
    s3: ObjectServer, backend: Backend
) -> None:
    backend.add_logs(DAY, 5)
    export(backend.url, dataset(), DAY, open_bucket(s3))
    backend.add_logs(DAY, 1, first_id=50)
    store = open_bucket(s3)
    store.bucket.before_request = killed_at(lambda verb, key: verb == "write" and "/data/" in key)
    with pytest.raises(KilledError):
        export(backend.url, dataset(), DAY, store)
    store = open_bucket(s3, Times(grace_s=-60, abandoned_s=-60))
    with store.published_day("logs", DAY) as day:
        assert "not a copy" in str(day.irregular())
    store.clean_up("logs")
    assert not damage(store, DAY)
    with store.published_day("logs", DAY) as day:
        assert day.irregular() is None


def test_rejected_rows_of_a_kept_export_stay_with_it_when_its_run_is_killed(
    s3: ObjectServer, backend: Backend
) -> None:
    """The run is killed after the switch, before it has moved them; another run publishes."""
    backend.add_logs(DAY, 5)
    backend.add_logs(DAY, 1, first_id=90, level="odd")
    export(backend.url, dataset(max_rejected_rows=3), DAY, open_bucket(s3))
    backend.run("DELETE FROM logs WHERE id > 3")
    store = open_bucket(s3)
    store.bucket.before_request = killed_at(lambda verb, key: verb == "write" and "/data/" in key)
    with pytest.raises(KilledError):
        export(backend.url, dataset(), DAY, store, accept_loss=True)
    export(backend.url, dataset(), DAY, open_bucket(s3))
    store = open_bucket(s3, Times(grace_s=-60, abandoned_s=-60))
    store.clean_up("logs")
    [(_, name)] = store.replaced_exports("logs")
    with store.replaced_export("logs", name) as kept:
        manifest = Manifest.from_json(kept.read_small(MANIFEST_NAME))
        assert manifest.quarantine
        with kept.open(PurePosixPath(manifest.quarantine.path).name) as file:
            assert hashlib.sha256(file.read()).hexdigest() == manifest.quarantine.sha256
    assert store.quarantine_files("logs", DAY) == []
    assert not damage(store, DAY)
    assert store.remove_replaced("logs", name)
    assert len(generations(store, DAY)) == 1


def killed_from(request: int) -> Callable[[str, str], None]:
    """For `Bucket.before_request`: killed before the n-th one."""
    left = [request]

    def is_last(_verb: str, _key: str) -> bool:
        left[0] -= 1
        return not left[0]

    return killed_at(is_last)


def killed_at(moment: Callable[[str, str], bool]) -> Callable[[str, str], None]:
    """For `Bucket.before_request`: killed at the first request that is meant."""
    is_dead = [False]

    def before_request(verb: str, key: str) -> None:
        is_dead[0] = is_dead[0] or moment(verb, key)
        if is_dead[0]:
            raise KilledError

    return before_request


def test_a_lost_answer_to_a_write_changes_nothing(
    proxy: HttpProxy, s3: ObjectServer, backend: Backend
) -> None:
    """Above all, no run is superseded by itself. The campaign loses answers to reads as well."""
    backend.add_logs(DAY, 5)
    through = replace(s3, endpoint=proxy.url)
    export(backend.url, dataset(), DAY, open_bucket(through))
    store = open_bucket(through)
    number, writes = 0, 1
    while number < writes:
        number += 1
        proxy.forget()
        proxy.fate = lambda request, n=number: _lost(proxy, request, n)  # type: ignore[misc]
        export(backend.url, dataset(), DAY, store)
        writes = sum(request.method == "PUT" for request in proxy.requests) - 1
        assert not damage(store, DAY), number
    assert number > 7


@pytest.mark.parametrize(
    ("key", "number"), [(".exporter-conditions", 2), ("/data/", 1)], ids=["refused write", "copy"]
)
def test_an_answer_to_a_write_that_is_cut_in_its_middle_changes_nothing(
    key: str, number: int, proxy: HttpProxy, s3: ObjectServer, backend: Backend
) -> None:
    """A first export; only answers with content can be cut there."""
    backend.add_logs(DAY, 5)
    written = [0]

    def fate(request: Request) -> str:
        written[0] += request.method == "PUT" and key in request.path
        return "half" if written[0] == number and key in request.path else "pass"

    proxy.fate = fate
    export(backend.url, dataset(), DAY, open_bucket(replace(s3, endpoint=proxy.url)))
    assert written[0] >= number
    assert not damage(open_bucket(s3), DAY)


def _lost(proxy: HttpProxy, request: Request, number: int) -> str:
    """The answer to the n-th PUT is lost."""
    puts = sum(each.method == "PUT" for each in proxy.requests)
    return "lost" if request.method == "PUT" and puts == number else "pass"


def test_two_runs_of_a_day(s3: ObjectServer, backend: Backend) -> None:
    """The second one published first."""
    backend.add_logs(DAY, 5)

    def rival() -> None:
        backend.add_logs(DAY, 1, first_id=99)
        export(backend.url, dataset(), DAY, open_bucket(s3), run_id="f" * 16)

    with pytest.raises(SupersededError, match="published by run ffff"):
        export(backend.url, dataset(), DAY, open_bucket(s3), before_publish=rival)
    store = open_bucket(s3)
    assert not damage(store, DAY)
    assert len(generations(store, DAY)) == 1


def test_a_run_that_was_taken_for_dead_cannot_publish(s3: ObjectServer, backend: Backend) -> None:
    """It wakes up after a sweep has removed its files."""
    backend.add_logs(DAY, 5)

    def sweep() -> None:
        open_bucket(s3, Times(grace_s=-60, abandoned_s=-60)).clean_up("logs")

    with pytest.raises(OutputUnavailableError, match="removed"):
        export(backend.url, dataset(), DAY, open_bucket(s3), before_publish=sweep)
    store = open_bucket(s3)
    assert store.published_days("logs") == []
    export(backend.url, dataset(), DAY, store)
    assert not damage(store, DAY)


def test_a_run_that_is_overtaken_after_it_published_is_recorded_once(
    s3: ObjectServer, backend: Backend
) -> None:
    """It stops before its last entry. The next run adds that entry, and publishes; it wakes up."""
    backend.add_logs(DAY, 5)
    export(backend.url, dataset(), DAY, open_bucket(s3))
    backend.add_logs(DAY, 1, first_id=99)
    store, overtaken = open_bucket(s3), [False]

    def overtake(verb: str, key: str) -> None:
        if verb == "write" and "/data/" in key and not overtaken[0]:
            overtaken[0] = True
            export(backend.url, dataset(), DAY, open_bucket(s3), run_id="f" * 16)

    store.bucket.before_request = overtake
    export(backend.url, dataset(), DAY, store)
    assert overtaken[0]
    entries = open_bucket(s3).entries("logs", DAY)
    assert [entry.event for entry in entries] == ["publishing", "published"] * 3
    published = [entry for entry in entries if entry.event == "published"]
    assert [entry.replaces for entry in published[1:]] == [e.generation for e in published[:-1]]
    assert not damage(open_bucket(s3), DAY)


def test_a_sweep_leaves_a_run_alone(s3: ObjectServer, backend: Backend) -> None:
    backend.add_logs(DAY, 5)
    export(backend.url, dataset(), DAY, open_bucket(s3))

    def sweep() -> None:
        open_bucket(s3, Times(grace_s=-60)).clean_up("logs")

    export(backend.url, dataset(), DAY, open_bucket(s3), before_publish=sweep)
    assert not damage(open_bucket(s3), DAY)


@pytest.mark.parametrize(
    ("fate", "said"),
    [
        ("busy", "asked for fewer requests"),
        ("throttled", "asked for fewer requests"),
        ("cut", "the connection was lost"),
        ("denied", "access was denied"),
        ("no_bucket", "the bucket does not exist"),
        ("broken", "the server reported an error"),
    ],
)
def test_a_store_that_fails_all_the_time(
    fate: str,
    said: str,
    proxy: HttpProxy,
    s3: ObjectServer,
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One clear error after a bounded time, without anything of the request or the answer."""
    monkeypatch.setattr("exporter_pipelines.stores.objects.connection._RETRIES", {"max_retries": 1})
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    backend.add_logs(DAY, 5)
    store = open_bucket(replace(s3, endpoint=proxy.url))
    export(backend.url, dataset(), DAY, store)
    before = store.read_manifest("logs", DAY)
    proxy.fate = lambda _request: fate
    with pytest.raises(OutputUnavailableError, match=said) as caught:
        export(backend.url, dataset(), DAY, open_bucket(replace(s3, endpoint=proxy.url)))
    assert s3.url in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value)) + repr(store.bucket)
    for private in ("a-secret", "127.0.0.1", "Signature", "<Error>"):
        assert private not in shown
    proxy.fate = lambda _request: "pass"
    assert store.read_manifest("logs", DAY) == before


def test_rows_are_taken_while_a_part_is_sent(proxy: HttpProxy, s3: ObjectServer) -> None:
    """Otherwise the batches before it wait, and take more memory than the part."""
    bucket = open_bucket(replace(s3, endpoint=proxy.url)).bucket
    part, taken = bytes(5 * 1024**2), threading.Event()
    waited_for = []

    def fate(request: Request) -> str:
        if "partNumber=1" in request.path:
            waited_for.append(taken.wait(10))
        return "pass"

    proxy.fate = fate
    file = ObjectFile(bucket, "large", len(part))
    file.write(part)
    file.write(part[1:])
    taken.set()
    file.close()
    assert waited_for == [True]
    assert bucket.size("large") == 2 * len(part) - 1


def test_a_part_keeps_nothing_of_what_it_was_given(s3: ObjectServer) -> None:
    """Otherwise what a compressor returns stays between the batches, and the heap grows."""

    class Given(bytearray):
        """Bytes that a weak reference can watch."""

    file = ObjectFile(open_bucket(s3).bucket, "large", 5 * 1024**2)
    content, kept = random.Random(1).randbytes(11 * 1024**2), []
    for start in range(0, len(content), 700_001):  # no fraction of a piece or a part
        given = Given(content[start : start + 700_001])
        kept.append(weakref.ref(given))
        file.write(given)
    del given
    assert sum(each() is not None for each in kept) == 0
    file.close()
    assert b"".join(map(bytes, open_bucket(s3).bucket.stream("large"))) == content
