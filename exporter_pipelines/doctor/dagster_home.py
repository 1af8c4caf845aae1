"""The storage of Dagster, according to its files, and the room on its disk. Nothing is created."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from exporter_pipelines import databases, settings
from exporter_pipelines.contracts.inspection import Finding
from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores.local import inspection as local

_OURS = "SqliteHistory"
_LOW_BYTES = 256 * 2**20
_NO_BYTES = 2**20
"""A run writes some hundred kilobytes of history."""
_DATABASES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")
"""Of Dagster's SQLite storage; those of single runs are not among them."""
_COPY = "Set DAGSTER_HOME to the project folder in its .env; a clone has .env.example to copy."


def examine_dagster_home() -> Iterator[Finding]:
    """Check DAGSTER_HOME, its `dagster.yaml`, and the storage that it configures."""
    home = settings.dagster_home()
    if home is not None and not Path(home).is_absolute():
        yield _finding("FAIL", f"DAGSTER_HOME {home} is not an absolute path", _COPY)
        return
    if home is not None and not Path(home).is_dir():
        yield _finding(
            "FAIL",
            f"DAGSTER_HOME {home} does not exist",
            "Create the folder, or correct DAGSTER_HOME.",
        )
        return
    if home is None:
        yield _finding("warn", "DAGSTER_HOME is not set", _COPY)
    file = (Path(home) if home else Path.cwd()) / "dagster.yaml"
    if home is not None and (problem := _disk_problem(Path(home))):
        yield problem
        return
    if not file.is_file():
        yield _finding(
            "warn", f"{file} does not exist, so Dagster uses its default storage",
            "Start in the project folder, or set DAGSTER_HOME to the folder with dagster.yaml.",
        )  # fmt: skip
        return
    yield _storage(file)


def _storage(file: Path) -> Finding:
    try:
        instance = yaml.safe_load(file.read_text()) or {}
        storage = dict(instance.get("storage") or {})
    except Exception:  # PyYAML passes on what Python says of `!!bool x` and of deep nesting
        return _finding(
            "FAIL", f"{file} is not valid YAML", "Compare it with the file of the project."
        )
    kind = next(iter(storage), "the default")
    folder = _sqlite_folder(storage)
    if folder is None:
        return _finding("ok", f"Storage {kind}, configured in {file}")
    if problem := _disk_problem(folder):
        return problem
    if not any(folder.glob("*")):
        return _finding(
            "warn", f"The storage {folder} is not initialized",
            "Run `make setup` (or `dagster instance migrate`) once, before the first start.",
        )  # fmt: skip
    for name in _DATABASES:
        if databases.stated_versions(folder / name) > 1:
            return _finding(
                "FAIL", f"{folder / name} is damaged: two commands of Dagster created it at once",
                f"Stop Dagster, move {folder} away, and run the command again. The exports are not "
                "affected; `exporter verify` names those that the new history does not show.",
            )  # fmt: skip
    return _finding("ok", f"Storage in {folder}, configured in {file}")


def _disk_problem(folder: Path) -> Finding | None:
    """Why Dagster cannot write its history below a folder, which need not exist yet; or None.

    Every run writes there first, so without it no run starts or ends properly.
    """
    try:
        local.require_writable(folder)
    except OutputUnavailableError as error:
        hint = "Give this user permission and mount it writable, or configure another folder."
        return _finding("FAIL", f"Dagster's history: {error.message.rstrip('.')}", hint)
    free = local.free_bytes(folder)
    if free >= _LOW_BYTES:
        return None
    hint = "Free some space. Dagster can neither start nor end a run if the disk is full."
    message = f"Dagster's history: {free / 2**20:,.1f} MiB free at {folder}"
    return _finding("FAIL" if free < _NO_BYTES else "warn", message, hint)


def _sqlite_folder(storage: dict[str, Any]) -> Path | None:
    sqlite = storage.get("sqlite")
    if isinstance(custom := storage.get("custom"), dict) and custom.get("class") == _OURS:
        sqlite = custom.get("config")
    base = sqlite.get("base_dir") if isinstance(sqlite, dict) else None
    return Path(base).absolute() if isinstance(base, str) else None


def _finding(level: Any, message: str, hint: str = "") -> Finding:
    return Finding(level, None, "dagster", message, hint)
