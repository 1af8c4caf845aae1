"""One day, from a real table to files: what is exported, rejected, counted and described."""

from __future__ import annotations

import hashlib

import pytest

from exporter_pipelines.errors import ConfigurationError, DayHeldError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export, rejected, rows

DAY = "2026-11-01"


def test_rows_arrive_as_they_are(backend: Backend, store: LocalStore) -> None:
    backend.run(
        "INSERT INTO logs VALUES (9007199254740993, '2026-11-01 10:00:00.123456+00', 'warn', "
        "E'Größe\n\"x\"\\\\ \\u0001 😀', 'app', NULL, '2001:db8::1', "
        '\'{"b": [1, {"c": null}], "a": 1234567890123456789}\')'
    )
    manifest = export(backend.url, dataset(), DAY, store)
    assert rows(store, manifest) == [
        {
            "id": 9007199254740993,
            "timestamp": "2026-11-01T10:00:00.123456Z",
            "level": "WARNING",
            "message": 'Größe\n"x"\\ \x01 😀',
            "source": "app",
            "device": None,
            "ip": "2001:db8::1",
            "attributes": {"a": 1234567890123456789, "b": [1, {"c": None}]},
        }
    ]
    assert manifest.data_quality_metrics["changed.level_aliases"] == 1


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_manifest_describes_the_file(backend: Backend, store: LocalStore, compression: str) -> None:
    backend.add_logs(DAY, 100)
    backend.add_logs("2026-11-02", 5, first_id=1000)
    manifest = export(backend.url, dataset(compression=compression), DAY, store)
    (file,) = manifest.files
    data = (store.day_folder("logs", DAY) / file.path).read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (file.size_bytes, file.sha256)
    assert len(rows(store, manifest)) == manifest.record_count == 100
    assert manifest.counts.read == 100


def test_rejected_rows_lie_in_the_quarantine_as_read(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAY, 10)
    backend.run("UPDATE logs SET level = 'odd', ip = 'host.internal' WHERE id = 3")
    backend.run("UPDATE logs SET message = NULL WHERE id = 4")
    manifest = export(backend.url, dataset(), DAY, store)
    assert manifest.counts.model_dump() == {"read": 10, "exported": 8, "rejected": 2, "filtered": 0}
    first, second = rejected(store, manifest)
    assert (first["id"], first["level"], first["attributes"]) == (3, "odd", {"a": 1})
    assert first["rejections"] == [
        {"rule": "known_level", "column": "level", "value": "odd"},
        {"rule": "valid_address", "column": "ip", "value": "host.internal"},
    ]
    assert second["rejections"] == [{"rule": "required", "column": "message", "value": None}]


def test_a_day_above_both_limits_is_held_and_the_old_export_stays(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 100)
    before = export(backend.url, dataset(), DAY, store)
    backend.run("UPDATE logs SET level = 'odd' WHERE id <= 11")
    with pytest.raises(DayHeldError, match="11 of 100 rows rejected") as held:
        export(backend.url, dataset(), DAY, store, run_id="another-run-entirely")
    assert held.value.quarantine is not None
    assert held.value.quarantine.stat().st_mode & 0o777 == 0o600
    assert store.read_manifest("logs", DAY) == before.to_json()


def test_an_empty_day_has_a_manifest_and_no_file(backend: Backend, store: LocalStore) -> None:
    manifest = export(backend.url, dataset(), DAY, store)
    assert (manifest.record_count, manifest.file_size, manifest.files) == (0, 0, [])
    assert [file.name for file in store.day_folder("logs", DAY).iterdir()] == ["_manifest.json"]


def test_the_same_rows_give_the_same_bytes(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAY, 500)
    one = export(backend.url, dataset(), DAY, store, batch_rows=1000)
    two = export(backend.url, dataset(), DAY, store, batch_rows=7)
    assert one.files[0].sha256 == two.files[0].sha256
    assert one.data_version == two.data_version
    backend.run("UPDATE logs SET message = 'changed' WHERE id = 1")
    three = export(backend.url, dataset(), DAY, store)
    assert three.data_version != two.data_version


def test_a_held_retry_of_a_run_leaves_the_published_quarantine(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 100)
    backend.run("UPDATE logs SET level = 'odd' WHERE id = 1")
    published = export(backend.url, dataset(), DAY, store)
    backend.run("UPDATE logs SET level = 'odd'")
    with pytest.raises(DayHeldError):
        export(backend.url, dataset(), DAY, store)
    assert published.quarantine
    file = store.root / "logs" / published.quarantine.path
    assert hashlib.sha256(file.read_bytes()).hexdigest() == published.quarantine.sha256
    assert len(list(file.parent.iterdir())) == 2


def test_days_of_two_zones_are_not_put_side_by_side(backend: Backend, store: LocalStore) -> None:
    export(backend.url, dataset(), DAY, store)
    with pytest.raises(ConfigurationError, match=r"is published as a day of UTC.*Europe/Berlin"):
        export(backend.url, dataset(), "2026-11-02", store, timezone="Europe/Berlin")
    assert store.read_manifest("logs", "2026-11-02") is None


@pytest.mark.parametrize("day", ["2026-11-03", "2026-11-05", "2031-07-01", "2026-10-01"])
def test_days_of_two_zones_are_not_put_into_one_folder(
    backend: Backend, store: LocalStore, day: str
) -> None:
    export(backend.url, dataset(), DAY, store)
    with pytest.raises(ConfigurationError, match=rf"logs {DAY} is published as a day of UTC"):
        export(backend.url, dataset(), day, store, timezone="Europe/Berlin")
    assert store.published_days("logs") == [DAY]


def test_a_zone_that_differs_only_in_summer_is_noticed_in_winter(
    backend: Backend, store: LocalStore
) -> None:
    for day in ("2026-07-01", "2026-12-01", "2026-12-20", "2027-01-30", "2027-02-01"):
        export(backend.url, dataset(), day, store)
    with pytest.raises(ConfigurationError, match="logs 2026-07-01 is published as a day of UTC"):
        export(backend.url, dataset(), "2027-01-10", store, timezone="Europe/London")


def test_a_zone_with_the_same_midnights_is_accepted(backend: Backend, store: LocalStore) -> None:
    export(backend.url, dataset(), DAY, store, timezone="Europe/Berlin")
    others = ["2026-11-02", "2026-11-09", "2027-07-01"]
    for day in others:
        export(backend.url, dataset(), day, store, timezone="Europe/Paris")
    assert store.published_days("logs") == [DAY, *others]


def test_an_interrupt_while_rows_are_read_stays_an_interrupt(
    backend: Backend, store: LocalStore
) -> None:
    """The thread that reads must have ended before the connection is closed."""
    backend.add_logs("2026-11-01", 20_000)

    def interrupt(_read: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(
            backend.url, dataset(), "2026-11-01", store, progress=interrupt, batch_rows=1000
        )  # fmt: skip
    assert store.published_days("logs") == []
