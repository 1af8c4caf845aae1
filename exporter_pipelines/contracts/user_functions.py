"""Functions that a `defs.yaml` names: imported and checked when the file is loaded."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from exporter_pipelines.errors import ConfigurationError


def user_function(
    what: str, path: str, arguments: tuple[str, ...], named: Mapping[str, Any] | None = None
) -> Callable[..., Any]:
    """Import a function and check that it accepts the arguments that it will get.

    Args:
        what: Names the entry in messages, as in `rule 'x'`.
        path: Dotted path of the function.
        arguments: What is passed by position, named for messages.
        named: What is passed by name.

    Raises:
        ConfigurationError: it does not exist, is not callable, or takes other arguments.
    """
    module, _, name = path.rpartition(".")
    try:
        function: Any = getattr(importlib.import_module(module), name)
    except Exception as error:  # the module of a user may raise anything
        raise ConfigurationError(
            f"{what}: function {path!r} cannot be imported: {error}.",
            "Give the dotted path of a function, as in package.module.function.",
        ) from error
    if not callable(function):
        raise ConfigurationError(f"{what}: {path!r} is not callable.", "Name a function.")
    try:
        inspect.signature(function).bind(*arguments, **(named or {}))
    except TypeError as error:
        given = ", ".join([*arguments, *(f"{key}=..." for key in named or {})])
        raise ConfigurationError(
            f"{what}: {path}{inspect.signature(function)} cannot be called with ({given}): "
            f"{error}.",
            "Change `columns` or `params` in defs.yaml, or the parameters of the function.",
        ) from None
    except ValueError:
        pass  # a function written in C has no signature to inspect
    checked: Callable[..., Any] = function
    return checked
