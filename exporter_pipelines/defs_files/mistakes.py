"""One sentence per mistake in a `defs.yaml`, with the place where it is.

Belongs here: the words for what pydantic found. No sentence repeats what may be a URL or a password
that was pasted where the name of a variable belongs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from exporter_pipelines.defs_files.documents import Document
from exporter_pipelines.defs_files.sentences import URL_HINT, mistake_at
from exporter_pipelines.errors import ConfigurationError

_HARMLESS = re.compile(r"[\w .,*/+-]{0,40}")
_SECRET_FIELDS = {"source", "url", "query", "params", "sql", "key"}


@contextmanager
def located(document: Document, *at: str | int) -> Iterator[None]:
    """Begin the message of a ConfigurationError of the block with the place of a setting.

    Raises:
        ConfigurationError: with `<file>:<line>: `; also for an error of a user's own code.
    """
    try:
        yield
    except ConfigurationError as error:
        raise mistake_at(document.place("attributes", *at), error.message, error.hint) from None


def invalid(
    document: Document, model: type[BaseModel], error: ValidationError
) -> ConfigurationError:
    """The first mistake that pydantic found in the attributes of a document."""
    # A misspelt setting before the missing one that it should have been.
    found = error.errors(include_url=False)
    first = min(found, key=lambda each: each["type"] != "extra_forbidden")
    place, given = first["loc"], first["input"]
    field = ".".join(str(part) for part in place)
    said, hint = first["msg"].removeprefix("Value error, "), ""
    if first["type"] == "extra_forbidden":
        known = ", ".join(_settings(model, place[:-1]))
        said, hint = "there is no such setting", f"There are: {known}."
    elif first["type"] == "missing":
        said = "is missing"
    elif not _SECRET_FIELDS.isdisjoint(place) or place == ("privacy",) or _is_url(given):
        said = said if _is_harmless(given) or isinstance(given, Mapping) else _without(said, given)
        is_url = place[-1:] in {("url",), ("source",)} and not isinstance(given, Mapping)
        hint = URL_HINT if is_url or _is_url(given) else ""
    elif _is_harmless(given):
        hint = f"It is {given!r}."
    # What contradicts another setting has no field of its own.
    sentence = f"{field}: {said}." if field else f"{said}."
    return mistake_at(document.place("attributes", *place), sentence, hint)


def _without(said: str, given: Any) -> str:
    """What is said of a value, without the value."""
    return said.replace(repr(given), "it") if given is not None else said


def _is_url(given: Any) -> bool:
    return isinstance(given, str) and "://" in given


def _is_harmless(given: Any) -> bool:
    """Whether a value can be repeated: a number, or a few plain words."""
    return isinstance(given, (bool, int, float)) or (
        isinstance(given, str) and _HARMLESS.fullmatch(given) is not None
    )


def _settings(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """Names of the settings at a place below `attributes`."""
    for part in place:
        if isinstance(part, str):
            fields = {info.alias or name: info for name, info in model.model_fields.items()}
            model = next(_models_in(fields[part].annotation)) if part in fields else model
    return [info.alias or name for name, info in model.model_fields.items()]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
