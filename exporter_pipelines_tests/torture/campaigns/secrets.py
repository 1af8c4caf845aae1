"""Secrets and hostile texts put everywhere; then everything that may hold neither is searched."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.engine.retention import plan, remove
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.layout import report_index
from exporter_pipelines.stores.local.pages import write_page
from exporter_pipelines_tests.support.alert_receivers import Inbox, inbox
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.planted_values import (
    MARKS,
    OWN_CODE,
    SECRETS,
    hits,
    places,
    plant,
    with_secrets,
)
from exporter_pipelines_tests.support.projects import Finished, Project, copy_project
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.SECRETS

GOOD, HELD, BAD = "2026-11-01", "2026-11-02", "2026-11-03"
UMASKS = (0o000, 0o022, 0o077, 0o777)

_TICKS = """
import dagster as dg
from exporter_pipelines.definitions import build

repository = build().get_repository_def()
with dg.DagsterInstance.get() as instance:
    for sensor in repository.sensor_defs:
        for _ in range(3):
            context = dg.build_sensor_context(instance, repository_def=repository)
            try:
                print(sensor.name, sensor.evaluate_tick(context))
            except Exception as error:
                print(sensor.name, repr(error), error.__cause__)
"""


def run(trial: Trial) -> None:
    """Runs that go well and wrong in every way, commands and sensors; then the search."""
    with trial.backend() as backend:
        _modes(trial, backend)
        plant(backend, GOOD, HELD)
        with inbox() as received:
            old = os.umask(0)  # whatever the project's processes make, its modes must be right
            try:
                project = _project(trial.folder, backend, received)
                said = _act(trial, project, backend)
            finally:
                os.umask(old)
            for number, post in enumerate(received.posts):
                said[f"alert {number}"] = json.dumps(post, ensure_ascii=False)
            trial.figures["alerts"] = len(received.posts)
            trial.check(bool(received.posts or trial.short), "no alert was sent", points=0)
        searched = 0
        for name, text in [*said.items(), *places(project.path, project.output)]:
            searched += len(text)
            found = hits(text)
            trial.check(not found, f"{name}: {found[:2]}", points=len(MARKS), part="search")
        trial.figures["searched"] = f"{searched / 1e6:.1f} MB"
        _check_modes(trial, project.output, "the project under umask 0")


def _project(folder: Path, backend: Backend, received: Inbox) -> Project:
    """A project with a secret in every setting that takes one."""
    host = f"127.0.0.1:{received.port}"
    project = copy_project(
        folder / "project",
        {
            "EXPORTER_SOURCE_URL": with_secrets(backend.url, folder / "pgpass"),
            "EXPORTER_OUTPUT_URL": str(folder / "exports"),
            "EXPORTER_START_DATE": GOOD,
            "EXPORTER_END_DATE": "2026-11-06",
            "EXPORTER_TIMEZONE": "UTC",
            # The second one is down.
            "EXPORTER_ALERT_URLS": f"json://ann:{SECRETS['alert']}@{host}/hook "
            f"json://ann:{SECRETS['alert']}@127.0.0.1:1/{SECRETS['alert']}",
            "EXPORTER_ALERT_HEARTBEAT_URL": f"http://127.0.0.1:1/{SECRETS['heartbeat']}",
            "DAGSTER_POSTGRES_URL": f"postgresql://ann:{SECRETS['dagster']}@127.0.0.1:1/dagster",
        },
    )
    project.edit("logs", "  source:\n", "  retention: {keep_days: 9, keep_quarantine_days: 1}\n"
                 "  source:\n    retries: 0\n")  # fmt: skip
    (project.path / "exporter_pipelines/defs/logs/own.py").write_text(OWN_CODE)
    os.environ["PGPASSWORD"] = SECRETS["PGPASSWORD"]
    os.environ["PGAPPNAME"] = "\x1b[31mnasty\u202e"
    return project


def _act(trial: Trial, project: Project, backend: Backend) -> dict[str, str]:
    """Every command while the time lasts, by what happens in it: what it printed."""
    said: dict[str, str] = {}

    def note(name: str, done: Finished, *codes: int) -> None:
        said[f"stdout of {name}"], said[f"stderr of {name}"] = done.stdout, done.stderr
        expected = done.code in codes
        trial.check(expected, f"{name} ended with {done.code}: {done.last_words}", points=0)

    def export_day(name: str, day: str, *codes: int) -> None:
        note(name, project.materialize("logs", partition=day, timeout=240), *codes)

    def ask(*arguments: str, when: str = "") -> None:
        name = " ".join(arguments) + when
        note(name, project.exporter(*arguments, timeout=240), 0, 1, 2)

    def tick() -> None:
        note(f"sensors {len(said)}", project.python(_TICKS, timeout=240), 0)

    def crash(what: str, broken: str) -> None:
        project.edit("logs", "  transforms:\n", broken)
        export_day(f"a crashed {what} of one's own", GOOD, 1)
        project.edit("logs", broken, "  transforms:\n")

    def lose_the_source() -> None:
        with _source(project, _gone()):
            export_day("a source that is gone", BAD, 1)
            ask("doctor", "--json", when=" without a source")
            ask("verify", "--source", "--json", when=" without a source")

    def be_refused() -> None:
        with _source(project, _refused(backend)):
            export_day("a wrong password", BAD, 1)

    def paste() -> None:
        url = f"postgresql://ann:{SECRETS['pasted']}@db.example.org/backend"
        project.edit("logs", "url: EXPORTER_SOURCE_URL", f"url: {url}")
        export_day("a URL where a name belongs", GOOD, 1)
        ask("doctor", "--json", when=" on a URL where a name belongs")

    own = "exporter_pipelines.defs.logs.own"
    rule = f"  rules: [{{name: own, columns: [message], function: {own}.rule}}]\n  transforms:\n"
    steps: list[Callable[[], object]] = [
        tick,
        lambda: export_day("a good day", GOOD, 0),
        lambda: export_day("a held day", HELD, 1),
        lose_the_source,
        be_refused,
        lambda: crash("rule", rule),
        lambda: crash("transform", f"  transforms:\n    - function: {own}.transform\n"),
        tick,
        lambda: ask("doctor", "--json"),
        lambda: ask("verify", "--source", "--json"),
        lambda: note("report", project.materialize("export_report", partition=GOOD), 0),
        lambda: ask("prune", "--apply"),
        lambda: ask("verify", "--json"),
        paste,
    ]
    for number in trial.rounds(len(steps), "steps"):
        steps[number]()
    return said


def _gone() -> str:
    """A URL where nobody answers, with the password percent-encoded and hostile names."""
    encoded = "".join(f"%{ord(c):02x}" for c in SECRETS["encoded"])
    return (
        f"postgresql://ann%1b%5b31m%e2%80%ae:{encoded}%40%2f@127.0.0.1:1/db%0aINFO"
        f"?sslpassword={SECRETS['sslpassword']}&options=-c%20app.token%3D{SECRETS['options']}"
    )


def _refused(backend: Backend) -> str:
    """A URL that the server refuses: it asks this role for a password, and has another one."""
    backend.run("CREATE ROLE canary_role LOGIN PASSWORD 'right'")
    ((hba,),) = backend.run("SHOW hba_file")
    if os.access(hba, os.W_OK):
        rule = "local all canary_role scram-sha-256\nhost all canary_role all scram-sha-256\n"
        Path(hba).write_text(rule + Path(hba).read_text())
        backend.run("SELECT pg_reload_conf()")
    else:  # a server that is not ours: a role that it does not know
        backend.run("DROP ROLE canary_role")
    return backend.url.replace("postgres@", f"canary_role:{SECRETS['password']}@", 1)


@contextmanager
def _source(project: Project, url: str) -> Iterator[None]:
    """Another EXPORTER_SOURCE_URL for a block."""
    (before,) = (
        line.partition("=")[2]
        for line in (project.path / ".env").read_text().splitlines()
        if line.startswith("EXPORTER_SOURCE_URL=")
    )
    project.set(EXPORTER_SOURCE_URL=url)
    try:
        yield
    finally:
        project.set(EXPORTER_SOURCE_URL=before)


def _modes(trial: Trial, backend: Backend) -> None:
    """Exports, a replaced day, a removal and a page, under each umask."""
    backend.add_logs(GOOD, 50)
    backend.add_logs(GOOD, 2, first_id=500, level="odd")
    exported: Dataset = dataset(retention={"keep_days": 1, "keep_at_least": 1})
    for umask in UMASKS:
        store = LocalStore(trial.folder / "modes" / "exports")
        old = os.umask(umask)
        try:
            for day in (GOOD, HELD):
                export(backend.url, exported, day, store)
            export(backend.url, dataset(max_file_records=20), GOOD, store)
            for removal in plan(store, exported, dt.date(2026, 11, 20))[:1]:
                remove(store, removal)
            export(backend.url, exported, GOOD, store)
            write_page(store.root, report_index(store.root), b"<!doctype html>")
        finally:
            os.umask(old)
        _check_modes(trial, store.root, f"umask {umask:03o}")
        shutil.rmtree(store.root.parent)
    backend.run("TRUNCATE logs")


def _check_modes(trial: Trial, root: Path, when: str) -> None:
    for path in (root, *root.rglob("*")):
        inside = {"quarantine", ".fingerprints", ".ledger", ".exporter-output.json"} & {
            *path.relative_to(root).parts
        }
        meant = 0o750 if path.is_dir() else 0o600 if inside else 0o640
        mode = stat.S_IMODE(path.lstat().st_mode)
        what = f"{when}: {path.relative_to(root)} has mode {mode:04o} instead of {meant:04o}"
        trial.check(mode == meant, what, part="modes")
