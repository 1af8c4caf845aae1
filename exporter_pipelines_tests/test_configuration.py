"""Every mistake in a defs.yaml or schema.py gets one sentence with file and line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from exporter_pipelines.formats import FORMATS
from exporter_pipelines_tests.support.projects import ROOT, Project, copy_project

# Loads the project once per variant of one file, in one process: loading costs more than testing.
_DRIVER = """
import json, pathlib, sys
from exporter_pipelines.components.loading import load_datasets
from exporter_pipelines.errors import ExporterError
file = pathlib.Path(sys.argv[1])
original = file.read_text()
said = []
for old, new in json.load(sys.stdin):
    assert old in original, old
    file.write_text(original.replace(old, new) if old else new)
    try:
        load_datasets(file.parent)
        said.append("loaded")
    except ExporterError as error:
        said.append(str(error))
print(json.dumps(said))
"""

_FILTER = """  filters:
    - {name: debug, column: level, op: ne, value: DEBUG}
    - {name: severe, column: level, op: ge, value: 3}"""
_RULES = """  rules:
    - {name: a, sql: "true"}
    - {name: b, function: no.where}"""

# (text of logs/defs.yaml, replacement, line of the mistake, what the sentence says)
_MISTAKES = [
    ("format: jsonl", "format: xml", 21, "format 'xml' does not exist (there are: jsonl, json"),
    ("compression: gzip", "compression: lzma", 22, "(there are: none, gzip, zstd)"),
    ("validation: strict", "validation: stern", 20, "'basic' or 'strict'. It is 'stern'."),
    ("rejected_rows: 10", "rejected_rows: -1", 24, "max_rejected_rows: Input should be greater"),
    ("rejected_pct: 1.0", "rejected_pct: 101", 23, "max_rejected_pct: Input should be less"),
    ("  format: jsonl", "  fromat: jsonl", 21, "fromat: there is no such setting. There are:"),
    ("    table: logs", "    tabel: logs", 11, "source.tabel: there is no such setting"),
    ("    table: logs  ", "    # no table", 9, "source: give exactly one of `table` and `query`."),
    ("  format: jsonl", "  rules: [{name: a}]", 21, "rule 'a' needs either `function` or `sql`."),
    ("name: logs", "name: ../logs", 5, "name: String should match pattern"),
    ("timezone: UTC", "timezone: Mars", 14, "'Mars' is not an IANA time zone"),
    ("15 2 * * *", "15 2 x", 26, "schedule '15 2 x' is not a cron expression"),
    ("schema.LogRow", "schema.Nothing", 7, "has no attribute 'Nothing'"),
    ("logs.schema.LogRow", "nowhere.LogRow", 7, "cannot be imported: No module named"),
    ("time_column: timestamp", "time_column: when", 9, "'when' does not exist (there are: id,"),
    ("time_column: timestamp", "time_column: level", 9, "is not a required timestamp"),
    ("columns: {}", "columns: {nope: x}", 9, "columns: column 'nope' does not exist"),
    ("name: level_aliases", "name: levels", 18, "(there are: level_aliases)"),
    (
        "name: level_aliases",
        "name: level_aliases\n      params: {colum: x}",
        18,
        "It takes: column, aliases",
    ),
    ("name: level_aliases", "function: no.where", 18, "transform 'where': function 'no.where' ca"),
    ("name: level_aliases", "params: {}", 18, "a transform needs `name` or `function`"),
    ("  format: jsonl", _FILTER, 23, "filter 'severe': 3 is not a value of 'level' (string)"),
    ("  format: jsonl", _RULES, 23, "rule 'b': function 'no.where' cannot be imported"),
    ("  format: jsonl", "  thresholds: {odd: warn}", 21, "rule 'odd' does not exist (there are: "),
    ("  format: jsonl", "  thresholds: {known_level: x}", 21, "thresholds.known_level: Input"),
    ("  format: jsonl", "  select: [id, nope]", 21, "select: column 'nope' does not exist"),
    ("  format: jsonl", "  select: [id, level]", 21, "select: column 'timestamp' is missing"),
    (
        "  format: jsonl",
        "  format: jsonl\n  format: csv",
        22,
        "is given twice, first in line 21",
    ),
    ("attributes:\n", "attributes: [\n", 6, "not valid YAML"),
]


@pytest.fixture(scope="module")
def bare_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that is only loaded, never run."""
    folder = tmp_path_factory.mktemp("bare")
    return copy_project(folder / "project", {"EXPORTER_OUTPUT_URL": str(folder / "exports")})


def loaded(project: Project, dataset: str, variants: list[tuple[str, str]]) -> list[str]:
    """What loading the project says for each variant of a dataset's defs.yaml."""
    file = project.path / "exporter_pipelines" / "defs" / dataset / "defs.yaml"
    original = file.read_text()
    try:
        done = subprocess.run(
            [sys.executable, "-c", _DRIVER, str(file)],
            cwd=project.path,
            env=project.environment,
            input=json.dumps(variants),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        file.write_text(original)
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


@pytest.fixture(scope="module")
def sentences(bare_project: Project) -> dict[tuple[str, str], str]:
    variants = [(old, new) for old, new, *_ in _MISTAKES]
    return dict(zip(variants, loaded(bare_project, "logs", variants), strict=True))


@pytest.mark.parametrize(("old", "new", "line", "said"), _MISTAKES)
def test_a_mistake_is_named_with_its_line(
    sentences: dict[tuple[str, str], str],
    bare_project: Project,
    old: str,
    new: str,
    line: int,
    said: str,
) -> None:
    sentence = sentences[old, new]
    file = bare_project.path / "exporter_pipelines" / "defs" / "logs" / "defs.yaml"
    assert said in sentence
    assert sentence.startswith(f"{file}:{line}: "), sentence
    assert "\n" not in sentence
    assert "It is {" not in sentence, "no part of the file is quoted whole"


def test_a_pasted_url_is_never_shown(bare_project: Project) -> None:
    (said,) = loaded(
        bare_project,
        "logs",
        [("url: EXPORTER_SOURCE_URL", "url: postgresql://u:s3cret@db.internal/x")],
    )
    assert "source.url" in said
    assert "NAME of an environment variable" in said
    assert "s3cret" not in said
    assert "db.internal" not in said


def test_two_datasets_of_one_name_are_refused(bare_project: Project) -> None:
    (said,) = loaded(bare_project, "logs", [("name: logs", "name: ips")])
    assert "defs.yaml:5: the name 'ips' is taken twice: in ips and logs." in said


def test_a_url_pasted_for_the_whole_source_is_never_shown(bare_project: Project) -> None:
    file = bare_project.path / "exporter_pipelines" / "defs" / "logs" / "defs.yaml"
    text = file.read_text()
    source = text[text.index("  source:\n") : text.index("  transforms:")]
    (said,) = loaded(bare_project, "logs", [(source, "  source: postgresql://u:s3cret@h/db\n")])
    assert "source" in said
    assert "s3cret" not in said


def test_an_unknown_component_is_named(bare_project: Project) -> None:
    (said,) = loaded(bare_project, "logs", [("DatasetExport", "DatasetExprot")])
    assert "DatasetExprot" in said
    assert "exporter_pipelines.components.DatasetExport" in said


def test_the_command_line_shows_the_sentence_alone(bare_project: Project) -> None:
    bare_project.edit("ips", "format: jsonl", "format: xml")
    try:
        done = bare_project.materialize("logs", partition="2026-11-01")
    finally:
        bare_project.edit("ips", "format: xml", "format: jsonl")
    file = bare_project.path / "exporter_pipelines" / "defs" / "ips" / "defs.yaml"
    assert done.code == 1
    known = f"(there are: {', '.join(FORMATS)})"
    assert done.last_words == f"Error: {file}:20: format 'xml' does not exist {known}."
    assert "Traceback" not in done.stderr


def test_a_copied_folder_is_a_fourth_dataset(bare_project: Project) -> None:
    defs = bare_project.path / "exporter_pipelines" / "defs"
    sessions = defs / "sessions"
    sessions.mkdir()
    for name in ("__init__.py", "schema.py", "defs.yaml"):
        text = (defs / "logs" / name).read_text()
        (sessions / name).write_text(text.replace("logs", "sessions"))
    listed = bare_project.dagster(
        "asset", "list", "-m", "exporter_pipelines.definitions", "--select", "group:exports"
    )
    assert listed.stdout.split() == ["anomalies", "ips", "logs", "sessions"]


def test_the_shipped_definitions_validate(bare_project: Project) -> None:
    done = bare_project.dagster("definitions", "validate", "-m", "exporter_pipelines.definitions")
    assert done.code == 0, done.stderr


def test_no_dataset_names_a_url() -> None:
    files = list((ROOT / "exporter_pipelines" / "defs").rglob("defs.yaml"))
    assert files
    for file in files:
        assert "://" not in file.read_text()
