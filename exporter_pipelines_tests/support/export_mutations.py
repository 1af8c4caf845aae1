"""Ways to damage published days, each of which `exporter verify` must find."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exporter_pipelines.contracts.manifest import MANIFEST_NAME

Mutation = Callable[[Path, random.Random], str]
"""Damages something below a dataset's folder, and says what."""


def flipped_byte(home: Path, dice: random.Random) -> str:
    """A bit of any file, manifests and quarantines included."""
    path = dice.choice(_files(home))
    data = bytearray(path.read_bytes())
    position, bit = dice.randrange(len(data)), 1 << dice.randrange(8)
    data[position] ^= bit
    path.write_bytes(data)
    return f"byte {position} of {path} ^ {bit}"


def truncated_file(home: Path, dice: random.Random) -> str:
    """Any number of bytes less, up to all of them."""
    path = dice.choice(_files(home))
    left = dice.randrange(path.stat().st_size)
    path.write_bytes(path.read_bytes()[:left])
    return f"{path} cut to {left}"


def appended_byte(home: Path, dice: random.Random) -> str:
    """A byte more."""
    path = dice.choice(_files(home))
    path.write_bytes(path.read_bytes() + bytes([dice.randrange(256)]))
    return f"a byte more in {path}"


def missing_file(home: Path, dice: random.Random) -> str:
    """A part, a manifest or a quarantine that is gone."""
    path = dice.choice(_files(home))
    path.unlink()
    return f"{path} is gone"


def extra_file(home: Path, dice: random.Random) -> str:
    """A file that no export wrote."""
    folder = dice.choice(_folders(home))
    path = folder / dice.choice(["x.jsonl", "_SUCCESS", ".hidden", "logs-2026-11-01.jsonl"])
    path.write_text("{}\n")
    return f"{path} is new"


def extra_folder(home: Path, dice: random.Random) -> str:
    """A folder that no export made."""
    places = [home, home / "data", home / "quarantine", dice.choice(sorted(home.glob("data/*")))]
    path = dice.choice(places) / dice.choice(["date=2026-11-31", "old", "part=1"])
    path.mkdir()
    return f"{path} is new"


def edited_manifest(home: Path, dice: random.Random) -> str:
    """Any value of a manifest, at any depth; the checksum stays what it was."""
    path = dice.choice(sorted(home.glob(f"data/*/{MANIFEST_NAME}")))
    document = json.loads(path.read_text())
    places = _places(document)
    holder, key = dice.choice(places)
    before, action = holder[key], dice.choice(["change", "remove"])
    if action == "remove" and key != "manifest_sha256":
        del holder[key]
    else:
        holder[key] = _another(before, dice)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return f"{path}: {key}: {before!r}, {action}"


def swapped_days(home: Path, dice: random.Random) -> str:
    """Two days under each other's name."""
    one, other = dice.sample(sorted(home.glob("data/*")), 2)
    one.rename(home / "aside")
    other.rename(one)
    (home / "aside").rename(other)
    return f"{one} and {other} are swapped"


def renamed_file(home: Path, dice: random.Random) -> str:
    """A file under another name."""
    path = dice.choice(_files(home))
    path.rename(path.with_name(path.name.replace("2026", "2025", 1) + "_"))
    return f"{path} has another name"


def emptied_quarantine(home: Path, dice: random.Random) -> str:
    """Rejected rows that are gone."""
    path = dice.choice(sorted(home.glob("quarantine/*/*")))
    path.write_bytes(b"")
    return f"{path} is empty"


def changed_mode(home: Path, dice: random.Random) -> str:
    """A file or a folder that others may read or write."""
    path = dice.choice([*_files(home), *_folders(home), home / "data", home])
    more = dice.choice([0o004, 0o006, 0o020, 0o002, 0o777])
    path.chmod((path.stat().st_mode | more) & 0o777)
    return f"{path} has mode {path.stat().st_mode & 0o777:o}"


def link_in_place(home: Path, dice: random.Random) -> str:
    """A file or a day that is moved away, with a link to it in its place."""
    path = dice.choice([*_files(home), *sorted(home.glob("data/*"))])
    moved = home.parent.parent / "moved"
    shutil.move(path, moved)
    path.symlink_to(moved)
    return f"{path} is a link"


MUTATIONS: tuple[Mutation, ...] = (
    flipped_byte,
    truncated_file,
    appended_byte,
    missing_file,
    extra_file,
    extra_folder,
    edited_manifest,
    swapped_days,
    renamed_file,
    emptied_quarantine,
    changed_mode,
    link_in_place,
)


def _files(home: Path) -> list[Path]:
    return sorted(path for folder in _folders(home) for path in folder.iterdir() if path.is_file())


def _folders(home: Path) -> list[Path]:
    return sorted([*home.glob("data/date=*"), *home.glob("quarantine/date=*")])


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(holder, key) of everything in a document."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list):
            found += _places(value[key])
    return found


def _another(value: Any, dice: random.Random) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + dice.choice([1, -1, 1000])
        case str():
            return value + "x" if dice.random() < 0.5 or not value else value[:-1]
        case list() | dict() if value:
            return type(value)()
        case _:
            return 1
