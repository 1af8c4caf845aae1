"""Checks the output folder: permission, free space, leftovers of killed runs."""

from __future__ import annotations

from collections.abc import Iterator

from exporter_pipelines import output_folder
from exporter_pipelines.contracts.inspection import Finding
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.stores.opening import open_store

_GIB = 1024**3


def examine_output() -> Iterator[Finding]:
    """Check permission and free space of the output folder."""
    try:
        store = open_store()
        store.require_writable()
    except ExporterError as error:
        yield Finding("FAIL", None, "output", error.message, error.hint)
        return
    try:
        problem = output_folder.problem(store)
    except ExporterError as error:
        yield Finding("FAIL", None, "output", error.message, error.hint)
        return
    if problem:
        yield Finding("FAIL", None, "output", f"{store.location} {problem}", output_folder.HINT)
        return
    yield Finding("ok", None, "output", f"{store.location} is writable")
    free = store.free_bytes()
    if free is None:
        return
    shown = f"{free / _GIB:.1f} GiB free at {store.location}"
    if free < _GIB:
        yield Finding(
            "warn", None, "disk", shown, "Free some space. A day fails if the disk is full."
        )
    else:
        yield Finding("ok", None, "disk", shown)


def examine_leftovers(dataset: str) -> Iterator[Finding]:
    """Report what killed runs left in the output folder."""
    try:
        found = open_store().dead_attempts(dataset)
    except ExporterError:
        return  # reported by `examine_output`
    if found:
        yield Finding(
            "warn", dataset, "leftovers",
            f"{len(found)} unfinished attempts of killed runs: {', '.join(found[:5])}",
            "The next export of the dataset removes them.",
        )  # fmt: skip
