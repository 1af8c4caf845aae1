"""What only Dagster finds out: a file that it cannot load becomes a broken definition as well.

These are files of other packages' components, files of Python, and settings that Dagster reads
itself, such as `post_processing`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from exporter_pipelines.defs_files import Definition, Definitions
from exporter_pipelines.defs_files.definitions import name_like
from exporter_pipelines.defs_files.documents import read_documents
from exporter_pipelines.defs_files.folders import FILE_NAMES
from exporter_pipelines.defs_files.sentences import mistake_at
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.orchestration.dagster_internals.defs_folder import load_defs_folder

Broken = tuple[Definition, ConfigurationError]
_HINT = "Correct it, or move it out of the folder of the definitions."
_POSITION = re.compile(r"(?P<setting>.*) at .*?(?P<line>[0-9]+)(:[0-9]+)?", re.S)


def checked_by_dagster(definitions: Definitions) -> list[Broken]:
    """What Dagster cannot load, although no other check finds a mistake in it."""
    if not definitions.need_dagster:
        return []
    _, failures = load_defs_folder(definitions.left_out, for_ui=False)
    return list(not_loaded(definitions, failures))


def not_loaded(
    definitions: Definitions, failures: Mapping[Path, BaseException]
) -> Iterator[Broken]:
    """A definition with a mistake for each dataset in a file that Dagster could not load."""
    taken = set(definitions.exported_names())
    for path, error in failures.items():
        file = definitions.file_of(path)
        mistake = _mistake(file, error)
        known = [each for each in definitions if each.file == file]
        if not known:
            known = [Definition(name_like(path.stem, taken), is_preset=False, file=file)]
            taken.add(known[0].name)
        for each in known:
            yield each, mistake


def _mistake(file: Path, error: BaseException) -> ConfigurationError:
    """One sentence. Pydantic is asked for its own, since its text repeats values."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ValidationError):
            return _invalid(file, cause)
    cause = causes[-1]
    said = next((line for line in str(cause).splitlines() if line.strip()), "no more is said")
    sentence = f"Dagster cannot load it: {type(cause).__name__}: {said.strip().rstrip('.:')}."
    return mistake_at(f"{file}:{_line(file, cause)}", sentence, _HINT)


def _invalid(file: Path, error: ValidationError) -> ConfigurationError:
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    if found := _POSITION.fullmatch(where):  # Dagster has added file and line
        return mistake_at(f"{file}:{found['line']}", f"{found['setting']}: {first['msg']}.", _HINT)
    return mistake_at(_place(file, first["loc"]), f"attributes.{where}: {first['msg']}.", _HINT)


def _place(file: Path, at: tuple[str | int, ...]) -> str:
    """Of an attribute, if it can only be in one document."""
    documents = read_documents(file) if file.name in FILE_NAMES else ()
    return documents[0].place("attributes", *at) if len(documents) == 1 else f"{file}:1"


def _line(file: Path, error: BaseException) -> int:
    """Where in the file the error arose, as far as it says."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno or 1
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that led to it."""
    cause: Any = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
