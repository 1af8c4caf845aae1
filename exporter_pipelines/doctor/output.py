"""Checks the output folder or bucket: permission, free space, leftovers of killed runs."""

from __future__ import annotations

from collections.abc import Iterator

from exporter_pipelines import output_folder
from exporter_pipelines.contracts.inspection import Finding
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.stores.opening import open_store

_GIB = 1024**3


def examine_output() -> Iterator[Finding]:
    """Check that exports can be written, and the free space."""
    try:
        store = open_store()
        store.require_writable()
        if problem := output_folder.problem(store):
            message = f"{store.location} {problem}"
            yield Finding("FAIL", None, "output", message, output_folder.HINT)
            return
        for found in store.probe():
            yield Finding("ok", None, "output", found)
    except ExporterError as error:
        yield Finding("FAIL", None, "output", error.message, error.hint)
        return
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
