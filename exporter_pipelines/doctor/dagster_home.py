"""The storage of Dagster, according to its files. Nothing is opened or created."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from exporter_pipelines import settings
from exporter_pipelines.contracts.inspection import Finding

_OURS = "SqliteHistory"
_COPY = "Copy .env.example to .env. It sets DAGSTER_HOME to the project folder."


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
    except (yaml.YAMLError, OSError, ValueError, AttributeError):
        return _finding(
            "FAIL", f"{file} is not valid YAML", "Compare it with the file of the project."
        )
    kind = next(iter(storage), "the default")
    folder = _sqlite_folder(storage)
    if folder is None:
        return _finding("ok", f"Storage {kind}, configured in {file}")
    if not any(folder.glob("*")):
        return _finding(
            "warn", f"The storage {folder} is not initialized",
            "Run `make setup` (or `dagster instance migrate`) once, before the first start.",
        )  # fmt: skip
    return _finding("ok", f"Storage in {folder}, configured in {file}")


def _sqlite_folder(storage: dict[str, Any]) -> Path | None:
    sqlite = storage.get("sqlite")
    if isinstance(custom := storage.get("custom"), dict) and custom.get("class") == _OURS:
        sqlite = custom.get("config")
    base = sqlite.get("base_dir") if isinstance(sqlite, dict) else None
    return Path(base).absolute() if isinstance(base, str) else None


def _finding(level: Any, message: str, hint: str = "") -> Finding:
    return Finding(level, None, "dagster", message, hint)
