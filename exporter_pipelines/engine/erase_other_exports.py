"""Erases subjects from what is kept of other exports: of held days, and of replaced exports.

It is removed as a whole: no reader has it, and the rows of others are in the source or published.
"""

from __future__ import annotations

from collections.abc import Iterator

from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.engine.erase_day import search_day
from exporter_pipelines.engine.erase_rejected import without_subjects
from exporter_pipelines.engine.erase_scope import Found, Scope, found_in, readable
from exporter_pipelines.engine.retention import Removal, remove
from exporter_pipelines.privacy.erasing import Erased


def in_other_rejected_rows(scope: Scope, dataset: str, day: str) -> Iterator[Found]:
    """Rejected rows of held days, and of attempts that are not the published one."""
    published = Manifest.if_readable(scope.store.read_manifest(dataset, day))
    named = published.quarantine.path if published and published.quarantine else ""
    erasing, erased = scope.forms.erasing_anything(set(scope.spaces(dataset, day))), Erased()
    try:
        names = scope.store.quarantine_files(dataset, day)
    except FileNotFoundError:
        return
    for name in names:
        if name != named.rpartition("/")[2]:
            with scope.store.open_quarantine(dataset, day, name) as file:
                for _ in without_subjects(file, name, erasing, erased):
                    pass
    if not erased:
        return
    if scope.apply:
        _remove_rejected_rows(scope, dataset, day, published)
    yield Found(dataset, day, "rejected rows", erased.rows.total(), 0, dict(erased.columns))


def _remove_rejected_rows(scope: Scope, dataset: str, day: str, published: Manifest | None) -> None:
    if published is not None:
        # Publishing a day removes the rejected rows of all its other attempts.
        scope.rewrite(dataset, day, scope.forms.erasing(published))
        return
    size = scope.store.size_of(dataset, day, "quarantine")
    reason = f"erasure: {scope.forms.request}"
    remove(scope.store, Removal(dataset, day, "quarantine", None, size, reason))


def in_replaced_export(scope: Scope, name: str, dataset: str, day: str) -> Iterator[Found]:
    """A replaced export that is kept for its rows."""
    try:
        export = scope.store.replaced_export(dataset, name)
        data = export.read_small(MANIFEST_NAME)
    except FileNotFoundError:
        return
    manifest = readable(data, dataset, day)
    assert manifest is not None
    erasing = scope.forms.erasing(manifest)
    found = search_day(scope.store, export, manifest, erasing, rejected=False)
    with scope.store.replaced_export(dataset, name) as again:
        for each in {*again.names()} - {MANIFEST_NAME, *(file.path for file in manifest.files)}:
            with again.open(each) as file:  # its rejected rows
                for _ in without_subjects(file, each, erasing, found.rejected):
                    pass
    if not found:
        return
    if scope.apply and scope.store.remove_replaced(dataset, name):
        reason = f"erasure: {scope.forms.request}"
        scope.store.record(
            Entry(event="removed", dataset=dataset, day=day, kept_as=name, reason=reason)
        )
    yield found_in(dataset, day, "replaced export", found)
