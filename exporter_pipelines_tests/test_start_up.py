"""What commands and imports load, each in a fresh process: nothing that they do not use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings

import click
import dagster as dg
import pytest

from exporter_pipelines.cli import main
from exporter_pipelines.definitions import build
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.projects import ROOT, Project

DAY = "2026-11-01"
_PROBE = """
import json, sys
sys.argv = {argv!r}
try:
    exec({code!r})
except SystemExit:
    pass
print("\\n" + json.dumps(sorted(sys.modules)))
"""
_COMMAND = "from exporter_pipelines.__main__ import main; main()"
_SLOW = {
    "dagster",
    "numpy",
    "pandas",
    "pandera",
    "pyarrow",
    "psycopg",
    "pydantic",
    "sqlite3",
    "yaml",
}


def loaded(code: str, *arguments: str) -> set[str]:
    """Names of the modules that a fresh process has after it ran `code`."""
    probe = _PROBE.format(argv=["exporter", *arguments], code=code)
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, env=os.environ, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return set(json.loads(done.stdout.splitlines()[-1]))


def loaded_in(project: Project, *arguments: str) -> set[str]:
    """The same for the command `exporter` in a project."""
    done = project.python(_PROBE.format(argv=["exporter", *arguments], code=_COMMAND))
    assert done.stdout, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_help_imports_no_command() -> None:
    modules = loaded(_COMMAND, "--help")
    assert not modules & _SLOW
    assert not {name for name in modules if name.startswith("exporter_pipelines.cli.")}


def test_the_api_imports_neither_pandas_nor_a_database_driver_nor_dagster() -> None:
    modules = loaded("from exporter_pipelines import api")
    assert not modules & {"dagster", "pandas", "pandera", "psycopg", "sqlite3", "sqlalchemy"}


def test_commands_about_published_days_import_no_pandas() -> None:
    commands = ("verify", "keep", "output", "prune")
    modules = loaded("\n".join(f"import exporter_pipelines.cli.{name}" for name in commands))
    assert not modules & {"dagster", "pandas", "pandera", "psycopg"}


def test_the_code_location_imports_no_database_driver_and_no_other_command() -> None:
    modules = loaded("import exporter_pipelines.definitions")
    assert not modules & {"pandas", "psycopg", "apprise", "grpc"}
    ours = {name for name in modules if name.startswith("exporter_pipelines.")}
    others = ("cli", "doctor", "new_datasets", "service", "supervisor", "verification")
    assert not {name for name in ours if name.split(".")[1] in others}


@pytest.mark.parametrize("for_ui", [True, False])
def test_loading_the_definitions_gives_no_warnings_of_dagster(
    settings: dict[str, str],
    for_ui: bool,
) -> None:
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        build(for_ui=for_ui)
    of_dagster = (dg.BetaWarning, dg.PreviewWarning)
    assert not [str(each.message) for each in given if issubclass(each.category, of_dagster)]


def test_the_doctor_imports_no_dagster(project: Project) -> None:
    modules = loaded_in(project, "doctor", "--seconds", "0")
    assert "psycopg" in modules, "it looked at the database"
    assert not modules & {"dagster", "sqlalchemy", "apprise"}


def test_an_export_imports_no_server_and_no_other_command(
    project: Project, backend: Backend
) -> None:
    backend.add_logs(DAY, 10)
    modules = loaded_in(project, "export", "logs", DAY)
    assert project.manifest("logs", DAY), "it exported the day"
    assert not modules & {"apprise", "dagster_graphql", "dagster_webserver", "fastapi", "grpc"}
    ours = {name for name in modules if name.startswith("exporter_pipelines.")}
    others = ("doctor", "new_datasets", "service", "sources.sqlite.session", "verification")
    assert not {name for name in ours if name.partition(".")[2].startswith(others)}


@pytest.mark.parametrize("name", main.list_commands(click.Context(main)))
def test_the_help_lists_each_command_with_its_first_sentence(name: str) -> None:
    context = click.Context(main, max_content_width=1000, terminal_width=1000)
    command = main.get_command(context, name)
    assert command is not None
    [listed] = [
        line for line in main.get_help(context).splitlines() if line.startswith(f"  {name} ")
    ]
    sentence = " ".join(str(command.help).partition("\n\n")[0].split())
    assert sentence.startswith(listed.removeprefix(f"  {name}").strip()), (
        "the list of commands in exporter_pipelines/cli/__init__.py needs the same sentence"
    )
