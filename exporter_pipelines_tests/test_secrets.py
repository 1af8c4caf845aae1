"""No secret and no row in anything but the data: the fast version of `make torture`'s `secrets`."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.planted_values import (
    SECRETS,
    TEXTS,
    hits,
    places,
    plant,
    with_secrets,
)
from exporter_pipelines_tests.support.projects import Project

GOOD, HELD = "2026-11-01", "2026-11-02"


def test_a_run_says_neither_a_secret_nor_a_row(
    backend: Backend, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(TEXTS) == 30
    plant(backend, GOOD, HELD)
    monkeypatch.setenv("PGPASSWORD", SECRETS["PGPASSWORD"])
    project.set(EXPORTER_SOURCE_URL=with_secrets(backend.url, tmp_path / "pgpass"))

    done = project.materialize("logs", partition_range=f"{GOOD}...{HELD}")

    assert done.code == 1
    assert f"{HELD}" in done.last_words
    assert "held" in done.last_words
    for day in (GOOD, HELD):  # the hostile rows were read
        (rejected,) = (project.output / "logs" / "quarantine" / f"date={day}").iterdir()
        assert hits(gzip.decompress(rejected.read_bytes()).decode())
    said = {"stdout": done.stdout, "stderr": done.stderr}
    searched = {**said, **dict(places(project.path, project.output))}
    assert {name: found for name, text in searched.items() if (found := hits(text))} == {}
    names = " ".join(searched)
    assert "_manifest.json" in names
    assert ".db (values)" in names
    assert GOOD in " ".join(searched.values())


def test_a_url_where_a_name_belongs_is_not_repeated(project: Project) -> None:
    url = f"postgresql://ann:{SECRETS['pasted']}@db.example.org/backend"
    project.edit("logs", "url: EXPORTER_SOURCE_URL", f"url: {url}")
    done = project.exporter("doctor", "--json")
    assert done.code == 1
    assert "logs" in done.stdout
    assert hits(done.stdout + done.stderr) == []
