"""Exports into a bucket that are killed, or whose requests fail, at every request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from exporter_pipelines.errors import OutputUnavailableError, SupersededError
from exporter_pipelines.stores.objects.sweep import Times
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.bucket_days import (
    damage,
    export_and_die_at,
    generations,
    open_bucket,
)
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.http_proxy import HttpProxy, http_proxy
from exporter_pipelines_tests.support.object_servers import ObjectServer

DAY = "2026-11-01"


@pytest.fixture
def proxy(s3: ObjectServer) -> Iterator[HttpProxy]:
    """Before the bucket."""
    with http_proxy(s3.endpoint) as running:
        yield running


def test_an_export_killed_at_any_request_leaves_a_whole_day(
    s3: ObjectServer, backend: Backend
) -> None:
    """Both for a first export and for a replacement; the next run repairs everything."""
    backend.add_logs(DAY, 5)
    backend.add_logs(DAY, 1, first_id=50, level="odd")
    store = open_bucket(s3)
    export(backend.url, dataset(), "2026-11-02", store)  # begins the ledger and marks the output
    killed = 0
    for request in range(1, 60):
        process = export_and_die_at(s3, backend.url, DAY, request)
        process.join(60)
        assert not damage(open_bucket(s3), DAY, view=False), request
        if process.exitcode == 0:
            break
        killed += 1
    assert killed > 14
    export(backend.url, dataset(), DAY, store)
    assert not damage(store, DAY)
    swept = open_bucket(s3, Times(grace_s=-60, abandoned_s=-60))
    swept.clean_up("logs")
    assert len(generations(swept, DAY)) == 1
    assert not damage(swept, DAY)
    assert len(swept.quarantine_files("logs", DAY)) == 1


@pytest.mark.parametrize("fate", ["lost", "busy", "cut"])
def test_a_request_that_fails_once_changes_nothing(
    fate: str, proxy: HttpProxy, s3: ObjectServer, backend: Backend
) -> None:
    """Above all, a lost answer to the switch never makes a run superseded by itself."""
    backend.add_logs(DAY, 5)
    through = replace(s3, endpoint=proxy.url)
    export(backend.url, dataset(), DAY, open_bucket(through))
    number, requests = 0, 99
    while number < requests:
        number += 1
        store = open_bucket(through)
        proxy.forget()
        proxy.fate = lambda request, n=number: fate if request.number == n else "pass"  # type: ignore[misc]
        export(backend.url, dataset(), DAY, store)
        requests = len(proxy.requests)
        assert not damage(store, DAY), (fate, number)
    assert number > 14


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


def test_a_sweep_leaves_a_run_alone(s3: ObjectServer, backend: Backend) -> None:
    backend.add_logs(DAY, 5)
    export(backend.url, dataset(), DAY, open_bucket(s3))

    def sweep() -> None:
        open_bucket(s3, Times(grace_s=-60)).clean_up("logs")

    export(backend.url, dataset(), DAY, open_bucket(s3), before_publish=sweep)
    assert not damage(open_bucket(s3), DAY)


@pytest.mark.parametrize("fate", ["busy", "throttled", "cut"])
def test_a_store_that_fails_all_the_time(
    fate: str, proxy: HttpProxy, s3: ObjectServer, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear error after a bounded time, without what the requests had in them."""
    monkeypatch.setattr("exporter_pipelines.stores.objects.connection._RETRIES", {"max_retries": 1})
    backend.add_logs(DAY, 5)
    store = open_bucket(replace(s3, endpoint=proxy.url))
    export(backend.url, dataset(), DAY, store)
    before = store.read_manifest("logs", DAY)
    proxy.fate = lambda _request: fate
    with pytest.raises(OutputUnavailableError) as caught:
        export(backend.url, dataset(), DAY, open_bucket(replace(s3, endpoint=proxy.url)))
    assert caught.value.__context__ is None or fate
    assert "s3://exports/" in str(caught.value)
    assert "http" not in str(caught.value)
    proxy.fate = lambda _request: "pass"
    assert store.read_manifest("logs", DAY) == before
