"""The parts that a document may have, whichever component it is of.

Dagster takes a file as a whole and would refuse all files because of one, so what it would refuse
is refused here before.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from functools import lru_cache

from exporter_pipelines.defs_files.documents import Document
from exporter_pipelines.defs_files.sentences import mistake_at
from exporter_pipelines.errors import ConfigurationError, UnknownNameError

DATASET = "exporter_pipelines.components.DatasetExport"
PRESET = "exporter_pipelines.components.DatasetPreset"
TRAINING_SET = "exporter_pipelines.components.TrainingSet"

KNOWN = (DATASET, PRESET, TRAINING_SET)
_FOLDER = "dagster.DefsFolderComponent"
_OURS = "exporter_pipelines."
_CHOOSE = f"Write one of {', '.join(KNOWN)}"
_PARTS = {
    "type": str,
    "attributes": dict,
    "template_vars_module": str,
    "requirements": dict,
    "post_processing": dict,
}
"""What a document may have, whichever component it is of; Dagster refuses anything else."""


def check_document(document: Document) -> None:
    """See that Dagster can find out whose component a document is.

    Raises:
        ConfigurationError: it cannot.
    """
    value = document.value
    if not isinstance(value, dict):
        raise mistake_at(
            document.place(),
            "the document has no settings.",
            "Begin with `type:`, as docs/new-dataset.md shows.",
        )
    for part in value:
        if part not in _PARTS:
            known = ", ".join(_PARTS)
            raise mistake_at(
                document.place(str(part)), f"{part}: there is no such setting.",
                f"There are: {known}.",
            )  # fmt: skip
    for part, kind in _PARTS.items():
        if value.get(part) is not None and not isinstance(value[part], kind):
            what = "text" if kind is str else "a mapping of settings"
            raise mistake_at(document.place(part), f"{part}: is not {what}.")
        for key in value[part] if isinstance(value.get(part), dict) else ():
            if not isinstance(key, str):
                raise mistake_at(document.place(part, str(key)), f"{part}: {key} is not text.")
    _check_type(document, value.get("type"))
    _check_requirements(document)


def needs_dagster(document: Document) -> bool:
    """Whether only Dagster can tell if a document without a mistake can be loaded."""
    value = document.value
    return value["type"] not in KNOWN or bool(
        value.get("template_vars_module") or value.get("post_processing")
    )


def _check_type(document: Document, kind: str | None) -> None:
    if kind is None:
        raise mistake_at(document.place(), "type: is missing.", f"Write `type: {DATASET}`.")
    if kind in (*KNOWN, _FOLDER):
        return
    package, has_dot, _ = kind.partition(".")
    if kind.startswith(_OURS) or not has_dot or not _exists(package):
        error = UnknownNameError("type", kind, KNOWN)
        raise mistake_at(document.place("type"), error.message)
    if problem := _problem_of(kind):
        raise mistake_at(
            document.place("type"),
            f"type {kind!r} {problem}.",
            f"{_CHOOSE}, or correct the other package.",
        )


def _exists(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


@lru_cache(maxsize=256)
def _problem_of(kind: str) -> str:
    """Why a class of another package is no component, as the end of a sentence; or empty.

    Its module is imported, as Dagster does.
    """
    module, _, name = kind.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (Exception, SystemExit) as error:
        return f"cannot be imported: {type(error).__name__}"
    if found is None:
        return f"does not exist: the module has no {name}"
    is_component = isinstance(found, type) and any(
        base.__name__ == "Component" and base.__module__.partition(".")[0] == "dagster"
        for base in found.__mro__
    )
    return "" if is_component else "is not a component of Dagster"


def _check_requirements(document: Document) -> None:
    for at, problem, hint in _wrong_requirements(document.value.get("requirements") or {}):
        raise _mistake(document, at, problem, hint)


def _wrong_requirements(
    requirements: dict[str, object],
) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Place, sentence and hint of each mistake in `requirements:`."""
    example = "Write the names of environment variables, as in `env: [API_KEY]`."
    for name in requirements:
        if name != "env":
            yield (name,), f"{name}: there is no such setting", "There is: env."
    names = requirements.get("env")
    if names is not None and not isinstance(names, list):
        yield ("env",), "env: is not a list", example
        return
    for number, name in enumerate(names if isinstance(names, list) else ()):
        if not isinstance(name, str):
            yield ("env", number), f"env.{number}: is not text", example


def _mistake(
    document: Document, at: tuple[str | int, ...], problem: str, hint: str
) -> ConfigurationError:
    return mistake_at(document.place("requirements", *at), f"requirements.{problem}.", hint)
