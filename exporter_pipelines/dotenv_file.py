"""The `.env` of the working directory, which overrides the shell."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from exporter_pipelines.errors import ConfigurationError

DOTENV_WINS = ".env overrides the shell for"
DOTENV_HINT = "Change .env, or remove the line there."
_PIPE_WAIT_S, _PIPE_BYTES = 10, 65536
_announced: set[str] = set()


def load_dotenv() -> list[str]:
    """Load the `.env` of the working directory as Dagster does: its values override the shell's.

    Says on stderr which variables had another value in the shell.

    Returns:
        Names of these variables; never a value.

    Raises:
        ConfigurationError: it is neither a file nor a pipe that is written to, is not in UTF-8, has
            a line that is no setting, or this user may not read it; or Dagster, which opens the
            `dagster.yaml` next, would not find it, or it is no file.
    """
    values = dotenv()
    replaced = [name for name, value in values.items() if os.environ.get(name, value) != value]
    os.environ.update(values)
    _announce(replaced)
    refuse_unusable_dagster_yaml()
    return replaced


def announce_dotenv_of_dagster() -> None:
    """Say on stderr which variables Dagster has replaced by those of `.env`.

    Dagster does so before it loads any code of a project, so the values of the shell are only in
    Linux's record of this process. Processes that Dagster starts get the replaced values at once,
    and say nothing.
    """
    try:
        began_with = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:  # another operating system
        return
    shell = dict(entry.split("=", 1) for entry in map(os.fsdecode, began_with) if "=" in entry)
    _announce([
        name
        for name, value in dotenv().items()
        if shell.get(name, value) != value == os.environ.get(name)
    ])  # fmt: skip


def dotenv() -> dict[str, str]:
    """The variables of the `.env` of the working directory, as Dagster reads them.

    Raises:
        ConfigurationError: it is neither a file nor a pipe that is written to, is not in UTF-8, has
            a line that is no setting, or this user may not read it.
    """
    file = Path(".env").absolute()
    if not os.path.lexists(file):
        return {}
    if not file.is_fifo():
        refuse_other_than_file(file)
    text = io.StringIO(text_of_file(file), newline=None).read()
    for each in parse_stream(io.StringIO(text)):
        if each.error:  # the line may have a secret. Dagster and python-dotenv leave it out.
            skipped = each.original.string.removesuffix(each.original.string.lstrip())
            line = each.original.line + skipped.count("\n")
            raise ConfigurationError(
                f"{file}: line {line} is not NAME=value, so it would have no effect.",
                "Correct it, close its quotation mark, or begin it with # for a comment.",
            )
    found = dotenv_values(stream=io.StringIO(text))
    return {name: value for name, value in found.items() if value is not None}


def _announce(replaced: list[str]) -> None:
    """Once per process and variable: a command may load `.env` itself and then Dagster's code."""
    names = [name for name in replaced if name not in _announced]
    if names:
        _announced.update(names)
        sys.stderr.write(f"{DOTENV_WINS} {', '.join(names)}. {DOTENV_HINT}\n")


def origin(variable: str) -> str:
    """Where a variable is set, for messages: the path of `.env`, or the environment."""
    return str(Path(".env").absolute()) if variable in dotenv() else "the environment"


def refuse_other_than_file(path: Path) -> None:
    """Refuse a folder, a pipe or a device: Dagster ignores it, or waits for it without an end.

    Raises:
        ConfigurationError: the path exists and is not a regular file.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ConfigurationError(
            f"{path} cannot be read: {reason}.", "Make it a file that this user may read."
        ) from None
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        raise ConfigurationError(
            f"{path} is {kinds.get(stat.S_IFMT(mode), 'a device')}, not a file.",
            "Put a regular file there, or remove it.",
        )


def refuse_unusable_dagster_yaml() -> None:
    """Refuse a `dagster.yaml` that Dagster would ignore, or wait for without an end.

    Dagster takes its path for a pattern. Below `[old]` it does not find the file, and works without
    its settings. Below `a?b` it does not find its history in SQLite.

    Raises:
        ConfigurationError: it is no file, or its path has one of the signs of patterns.
    """
    file = Path(os.environ.get("DAGSTER_HOME") or ".").absolute() / "dagster.yaml"
    if not os.path.lexists(file):
        return
    refuse_other_than_file(file)
    if sign := next((sign for sign in str(file) if sign in "*?["), None):
        raise ConfigurationError(
            f"Dagster cannot use {file}: it takes a path with {sign} for a pattern.",
            "Move the project to a folder without *, ? and [ in its path, and correct DAGSTER_HOME "
            "if .env names the folder.",
        )


def text_of_file(file: Path) -> str:
    """The text of a file of settings.

    Raises:
        ConfigurationError: it is not in UTF-8, or this user may not read it.
    """
    try:
        content = _from_pipe(file) if file.is_fifo() else file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read: {(error.strerror or type(error).__name__).lower()}.",
            "Give this user permission to read it.",
        ) from None
    bad = [place] if (place := content.find(b"\0")) >= 0 else []
    text = ""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        bad.append(error.start)
    if bad:
        line, byte = content.count(b"\n", 0, min(bad)) + 1, content[min(bad)]
        raise ConfigurationError(
            f"{file} is not UTF-8 text: line {line} has the byte 0x{byte:02x}.",
            "Save the file as UTF-8.",
        )
    return text


def _from_pipe(file: Path) -> bytes:
    """What a program writes into a named pipe, such as a password manager. Read once.

    Raises:
        ConfigurationError: nobody writes for ten seconds.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)  # does not wait for the writer
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    parts: list[bytes] = []
    try:
        while True:
            if not waiting.poll(int(1000 * _PIPE_WAIT_S)):
                raise ConfigurationError(
                    f"{file} is a pipe, and nothing was written to it within {_PIPE_WAIT_S} s.",
                    "Start the program that writes it, or put a regular file there.",
                )
            if not (part := os.read(descriptor, _PIPE_BYTES)):
                return b"".join(parts)
            parts.append(part)
    finally:
        os.close(descriptor)
