"""Whatever lies among the definitions: one sentence about it, and the datasets work."""

# ruff: noqa: E501 - one case per line

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from exporter_pipelines import cli
from exporter_pipelines.definitions import build
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines_tests.support.broken_definitions import SECRET
from exporter_pipelines_tests.support.definitions import copy_definitions, use_definitions

GOOD = {"anomalies", "ips", "logs", "logs_errors", "logs_light", "logs_parquet"}
_OURS = "type: exporter_pipelines.components.DatasetExport\n"
_FOLDER = "type: dagster.DefsFolderComponent\n"
_OTHER = "type: exporter_pipelines_tests.support.component_of_others.OtherComponent\n"
_ODD = f"type: nowhere.at.All\nattributes: {{password: {SECRET}}}\n"
_EVENTS = """type: exporter_pipelines.components.DatasetExport
{more}
attributes:
  name: events
  description: Events.
  schema: exporter_pipelines.defs.logs.schema.LogRow
  source: {{url: EXPORTER_SOURCE_URL, table: logs, key: id, time_column: timestamp, timezone: UTC}}
"""


def _events(more: str) -> Callable[[Path], object]:
    return lambda folder: _write(folder / "events" / "defs.yaml", _EVENTS.format(more=more))


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _file(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: _write(folder / name, text)


def _pipe(name: str) -> Callable[[Path], object]:
    def plant(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        os.mkfifo(folder / name)

    return plant


def _link(name: str, to: str) -> Callable[[Path], object]:
    def plant(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(to)

    return plant


PLANTED: dict[str, tuple[Callable[[Path], object], str, str]] = {
    # what is planted, the name under which it is listed, what is said
    "processing": (_events("post_processing: {assets: 1}"), "events", "defs.yaml:2: post_processing.assets"),
    "target": (_events("post_processing: {assets: [{target: 'a b (', attributes: {}}]}"), "events", "defs.yaml:1: Dagster cannot load it"),
    "no target": (_events("post_processing: {assets: [{attributes: {owners: [1]}}]}"), "events", "defs.yaml:2: post_processing.assets"),
    "template": (_events("template_vars_module: nowhere.at_all"), "events", "cannot load it: ModuleNotFoundError: No module named"),
    "no template": (_events("template_vars_module: json"), "events", "No template vars found in module json"),
    "local template": (_events("template_vars_module: .vars"), "events", "ModuleNotFoundError"),
    "other": (_file("other/defs.yaml", f"{_OTHER}attributes: {{size: large}}\n"), "other", "defs.yaml:2: attributes.size: Input should be a valid int"),
    "other misspelt": (_file("other/defs.yaml", f"{_OTHER}attributes: {{sise: 1, size: 1}}\n"), "other", "attributes.sise: Extra inputs are not permitted"),
    "other fails": (_file("other/defs.yaml", f"{_OTHER}attributes: {{size: 0}}\n"), "other", "Dagster cannot load it: ZeroDivisionError"),
    "two other": (_file("other/defs.yaml", f"{_OTHER}attributes: {{size: 1}}\n---\n{_OTHER}attributes: {{size: 0}}\n"), "other", "ZeroDivisionError"),
    "attributes of a folder": (_file("group/defs.yaml", f"{_FOLDER}attributes: {{a: 1}}\n"), "group", "defs.yaml:"),
    "python syntax": (_file("mine.py", "x = (\n"), "mine", "mine.py:1: Dagster cannot load it: SyntaxError"),
    "python raises": (_file("mine.py", "x = 1\nassert x == 2\n"), "mine", "mine.py:2: Dagster cannot load it: AssertionError"),
    "python exits": (_file("mine.py", "raise SystemExit(3)\n"), "mine", "cannot load it: SystemExit"),
    "python imports": (_file("mine/assets.py", "import nowhere\n"), "assets", "No module named 'nowhere'"),
    "python latin": (lambda folder: (folder / "mine.py").write_bytes(b"x = '\xe9'\n"), "mine", "SyntaxError"),
    "definitions.py": (_file("mine/definitions.py", "import dagster as dg\na = dg.Definitions()\nb = dg.Definitions()\n"), "definitions", "Found multiple Definitions objects"),
    "component.py": (_file("mine/component.py", "1 / 0\n"), "component", "component.py:1: Dagster cannot load it: ZeroDivisionError"),
    "folder like a file": (_file("mine.py/text.txt", ""), "mine", "it is not a regular file"),
    "pipe like a file": (_pipe("mine.py"), "mine", "it is not a regular file"),
    "pipe": (_pipe("piped/defs.yaml"), "piped", "the file cannot be read: it is not a regular file"),
    "folder": (_file("dir/defs.yaml/text.txt", ""), "dir", "it is not a regular file"),
    "device": (_link("zeros/defs.yaml", "/dev/zero"), "zeros", "it is not a regular file"),
    "no target of a link": (_link("lost/defs.yaml", "nowhere"), "lost", "No such file"),
    "link to itself": (_link("self/defs.yaml", "defs.yaml"), "self", "symbolic links"),
    "link to the folder": (_link("again", "."), "again", "the link leads to a folder that it is in"),
    "link to a folder above": (_link("deep/again", ".."), "again", "Remove the link."),
    "huge": (_file("huge/defs.yaml", f"{_OURS}# {'x' * 2_000_000}"), "huge", "the limit is 1,000,000"),
    "zero bytes": (_file("zero/defs.yaml", "\0" * 100), "zero", "not valid YAML"),
    "older name": (_file("older/component.yaml", _ODD), "older", "component.yaml:1: type 'nowhere.at.All'"),
    "short ending": (_file("short/defs.yml", _ODD), "short", "defs.yml:1: type 'nowhere.at.All'"),
    "of the folder above": (_file("defs.yaml", _ODD), "defs", "defs.yaml:1: type 'nowhere.at.All'"),
    "folder like a module": (_file("json/defs.yaml", _ODD), "json", "type 'nowhere.at.All'"),
    "odd folder": (_file("a b/defs.yaml", _ODD), "a_b", "type 'nowhere.at.All'"),
    "documents": (_file("two/defs.yaml", f"{_OTHER}attributes: {{size: 1}}\n---\n{_ODD}"), "two", "defs.yaml:4: type"),
}  # fmt: skip


@pytest.fixture
def defs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "defs"
    copy_definitions(folder)
    use_definitions(folder, monkeypatch)
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(tmp_path / "exports"))
    monkeypatch.setenv("EXPORTER_SOURCE_URL", f"sqlite:///{tmp_path}/missing.db")
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("exporter_pipelines.defs."):
            del sys.modules[name]


def loaded() -> dict[str, dg.AssetSpec]:
    specs = build().resolve_all_asset_specs()
    return {spec.key.to_user_string(): spec for spec in specs}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_it_is_one_broken_dataset_with_one_sentence(
    defs: Path, planted: tuple[Callable[[Path], object], str, str]
) -> None:
    plant, name, said = planted
    plant(defs)
    specs = loaded()
    shown = specs[name].metadata["problem"].value
    assert said in shown
    assert shown.startswith(str(defs))
    assert "\n" not in shown
    assert SECRET not in shown
    assert set(specs) >= GOOD
    assert {each for each in specs if "problem" in specs[each].metadata} == {name}
    assert {dataset.name for dataset in Definitions().usable()} >= GOOD
    found = json.loads(CliRunner().invoke(cli.main, ["doctor", "--seconds", "0", "--json"]).stdout)
    wrong = [each for each in found if each["check"] == "defs.yaml"]
    assert [f"{each['message']}. {each['hint']}".strip() for each in wrong] == [shown]


def test_what_is_right_is_loaded_beside_what_is_not(defs: Path) -> None:
    _write(defs / "other" / "defs.yaml", f"{_OTHER}attributes: {{size: 2}}\n")
    _write(defs / "group" / "defs.yaml", "type: nowhere.Folder\n")
    _write(defs / "group" / "events" / "defs.yaml", _EVENTS.format(more=""))
    _write(defs / "mine.py", "1 / 0\n")
    specs = loaded()
    assert set(specs) >= {*GOOD, "others_2", "events", "group", "mine"}
    assert {each for each in specs if "problem" in specs[each].metadata} == {"group", "mine"}
