"""What lies beside `data/` loads the export everywhere, as the generated card says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pyarrow as pa
import pytest

from exporter_pipelines.engine.load import open_days
from exporter_pipelines.formats import FORMATS
from exporter_pipelines.formats.compression import COMPRESSIONS
from exporter_pipelines.formats.contract import Export
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export, rows

DAYS = ("2026-11-01", "2026-11-02")
FOUR_DAYS = (*DAYS, "2026-11-03", "2026-11-04")


def readers(format_: str, compression: str) -> list[str]:
    """Readers for which the format gives code."""
    export = Export("logs", dataset().schema, compression, "logs/data/*/*")
    return list(FORMATS[format_].loading_code(export))


WITHOUT_JSON = {("jsonl", "pyarrow")}
"""Code that leaves JSON columns out."""
COMBINATIONS = [
    (format_, reader, compression)
    for format_ in FORMATS
    for compression in COMPRESSIONS
    for reader in readers(format_, compression)
]
# Turns whatever a reader gives into the ids and the JSON column, in order.
_PROBE = """
import json
table = logs
if hasattr(table, "to_arrow_table"):
    table = table.to_arrow_table()
elif hasattr(table, "arrow"):
    table = table.arrow()
if hasattr(table, "read_all"):
    table = table.read_all()
if hasattr(table, "to_pylist"):
    found = table.to_pylist()
elif hasattr(table, "to_list"):
    found = table.to_list()
elif hasattr(table, "to_dicts"):
    found = table.to_dicts()
elif hasattr(table, "to_dict"):
    found = table.to_dict("records")
else:
    found = list(table)
def plain(value):
    # pandas reads an empty field of CSV as empty text, null or not.
    return json.loads(value or "null") if isinstance(value, str) else value
found.sort(key=lambda row: row["id"])
print(json.dumps([[row["id"], plain(row.get("attributes")), str(row["message"])] for row in found]))
"""


@pytest.fixture
def two_days(backend: Backend) -> Backend:
    """Logs whose first day has nothing but nulls in the JSON column."""
    backend.add_logs(DAYS[0], 3, first_id=9007199254740993, attributes=None)
    backend.add_logs(DAYS[1], 2, first_id=9007199254741993, attributes='{"a": [1, {"b": null}]}')
    backend.run("UPDATE logs SET attributes = '[\"x\"]', message = '007' WHERE id % 2 = 0")
    backend.run("UPDATE logs SET attributes = NULL WHERE timestamp < '2026-11-02'")
    return backend


def loaded(folder: Path, code: str) -> list[list[object]]:
    """Run the code of a card in the output folder, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code + "\n" + _PROBE],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder.parent / "hf")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[list[object]] = json.loads(done.stdout.splitlines()[-1])
    return found


def blocks(card: str) -> dict[str, str]:
    return dict(
        re.findall(r"^With (\w+):\n\n```python\n(.*?)\n```", card, re.DOTALL | re.MULTILINE)
    )


@pytest.mark.parametrize(("format_", "reader", "compression"), COMBINATIONS)
def test_every_reader_loads_both_days_as_the_card_says(
    two_days: Backend, store: LocalStore, format_: str, reader: str, compression: str
) -> None:
    exported = dataset(format=format_, compression=compression)
    for day in DAYS:
        export(two_days.url, exported, day, store)
    code = blocks((store.root / "logs" / "README.md").read_text())
    assert list(code) == readers(format_, compression)
    found = loaded(store.root, code[reader])
    expected = two_days.run("SELECT id, attributes, message FROM logs ORDER BY id")
    assert [row[0] for row in found] == [row[0] for row in expected]
    assert [row[2] for row in found] == [row[2] for row in expected]
    if (format_, reader) not in WITHOUT_JSON:
        assert [_without_nulls(row[1]) for row in found] == [
            _without_nulls(row[1]) for row in expected
        ]


def test_rows_fit_the_published_schemas(two_days: Backend, store: LocalStore) -> None:
    manifests = [export(two_days.url, dataset(), day, store) for day in DAYS]
    folder = store.root / "logs"
    schema = json.loads((folder / "schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    for manifest in manifests:
        for row in rows(store, manifest):
            jsonschema.validate(row, schema)
    arrow = pa.ipc.read_schema(pa.OSFile(str(folder / "schema.arrow")))
    assert arrow == dataset().schema.arrow


def test_files_beside_data_are_written_once(two_days: Backend, store: LocalStore) -> None:
    export(two_days.url, dataset(), DAYS[0], store)
    files = sorted(file for file in (store.root / "logs").iterdir() if file.is_file())
    assert [file.name for file in files] == ["README.md", "schema.arrow", "schema.json"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o640}
    before = [file.stat().st_ino for file in files]
    export(two_days.url, dataset(), DAYS[1], store)
    assert [file.stat().st_ino for file in files] == before
    export(two_days.url, dataset(compression="zstd"), DAYS[1], store)
    assert [file.stat().st_ino for file in files][1:] == before[1:]
    assert ".jsonl.zst" in files[0].read_text()


def _without_nulls(value: object) -> object:
    """A reader that makes structs of objects adds the keys that other rows have."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


def test_the_card_names_the_days_in_another_format(backend: Backend, store: LocalStore) -> None:
    for number, day in enumerate(FOUR_DAYS):
        backend.add_logs(day, 5, first_id=100 * number)

    def card_after(day: str, **changes: str) -> str:
        export(backend.url, dataset(**changes), day, store)
        return (store.home("logs") / "README.md").read_text()

    for day in FOUR_DAYS:
        assert "another format" not in card_after(day)
    changed = {"format": "parquet", "compression": "zstd"}
    assert "- 2026-11-02 to 2026-11-04: `*.jsonl.gz`\n" in card_after(FOUR_DAYS[0], **changed)
    card = card_after(FOUR_DAYS[2], **changed)
    assert "- 2026-11-02 to 2026-11-02: `*.jsonl.gz`\n- 2026-11-04 to 2026-11-04:" in card
    assert 'open_days("logs", first, last)' in card
    (store.home("logs") / "README.md").unlink()
    assert card_after(FOUR_DAYS[2], **changed) == card
    assert "- 2026-11-04 to 2026-11-04" in card_after(FOUR_DAYS[1], **changed)
    assert "another format" not in card_after(FOUR_DAYS[3], **changed)
    read = open_days(store, "logs", list(FOUR_DAYS)).read_all()
    assert read.num_rows == 20
