"""A dataset against the database that it is read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.inspection import Finding, Inspection, Level, Relation
from exporter_pipelines.databases import SampleNotMadeError
from exporter_pipelines.doctor.connections import Connections
from exporter_pipelines.doctor.mapping import proposal_for
from exporter_pipelines.doctor.tables import ranked_tables
from exporter_pipelines.doctor.time_column import examine_time
from exporter_pipelines.errors import ExporterError

_SHOWN_TABLES = 20
_MISFIT = (
    "Say it in `source:` if it is a setting; else change the schema, or read a view that casts it."
)


def examine_dataset(dataset: Dataset, connections: Connections) -> Iterator[Finding]:
    """Connection, table, columns, key and time column, as far as each lets one see."""
    source = dataset.config.source
    try:
        inspection = connections.to(source.url)
        yield Finding("ok", dataset.name, "connection", inspection.described())
    except SampleNotMadeError as error:
        yield Finding("warn", dataset.name, "connection", error.message, error.hint)
        return
    except ExporterError as error:
        yield Finding("FAIL", dataset.name, "connection", error.message, error.hint)
        return
    try:
        relation = inspection.find(source)
    except ExporterError as error:
        hint = "Correct `query` in its defs.yaml." if source.query else error.hint
        yield Finding("FAIL", dataset.name, "table", error.message, hint)
        return
    if relation is None:
        yield from _attempted(dataset, "table", lambda: _no_table(dataset, inspection))
    elif not relation.readable:
        yield Finding(
            "FAIL",
            dataset.name,
            "table",
            f"{source.table} may not be read by this user",
            f"GRANT SELECT ON {source.table} (and USAGE on its schema) to it.",
        )
    else:
        yield from _examine_relation(dataset, inspection, relation)


def _examine_relation(
    dataset: Dataset, inspection: Inspection, relation: Relation
) -> Iterator[Finding]:
    kind = "view " if relation.is_view else "table "
    kind = kind if dataset.config.source.table else ""
    yield Finding("ok", dataset.name, "table", f"The {kind}{relation.name} can be read")
    yield from _columns(dataset, inspection, relation)
    yield from _types(dataset, inspection, relation)
    yield from _attempted(dataset, "key", lambda: _key(dataset, inspection, relation))
    for name, look in examine_time(dataset, inspection, relation):
        yield from _attempted(dataset, name, look)
    yield from _attempted(dataset, "privileges", lambda: _concerns(dataset, inspection, relation))


def _attempted(
    dataset: Dataset, check: str, look: Callable[[], Iterator[Finding]]
) -> Iterator[Finding]:
    """What a look finds, or that it could not be had."""
    try:
        yield from look()
    except ExporterError as error:
        yield Finding("warn", dataset.name, check, f"Not seen: {error.message}", error.hint)


def _no_table(dataset: Dataset, inspection: Inspection) -> Iterator[Finding]:
    relations = [relation for relation in inspection.relations() if relation.readable]
    listed = ", ".join(relation.name for relation in relations[:_SHOWN_TABLES]) or "none"
    more = f" and {len(relations) - _SHOWN_TABLES} more" if relations[_SHOWN_TABLES:] else ""
    hint = "Correct `table` in its defs.yaml; write schema.table for another schema."
    for relation in ranked_tables(dataset, inspection, relations)[:1]:
        proposal = proposal_for(dataset, inspection, relation)
        hint += f" The closest is {relation.name}; put this into `source:`\n{proposal.text}"
    yield Finding(
        "FAIL", dataset.name, "table",
        f"{dataset.config.source.origin} does not exist, or not for this user "
        f"(there are: {listed}{more})", hint,
    )  # fmt: skip


def _columns(dataset: Dataset, inspection: Inspection, relation: Relation) -> Iterator[Finding]:
    configured, columns = dataset.config.source.columns, dataset.schema.columns
    absent = [c for c in columns if dataset.source_name(c.name) not in relation.types]
    wrong = [c.name for c in absent if c.required or c.name in configured]
    optional = [c.name for c in absent if c.name not in wrong]
    message = f"{len(columns) - len(absent)} of {len(columns)} found"
    if wrong:
        names = ", ".join(_shown(dataset, name) for name in wrong)
        message = f"{relation.name} lacks {names} (there are: {', '.join(relation.types)})"
    elif optional:
        message += f"; exported as null: {', '.join(optional)}"
    proposal = proposal_for(dataset, inspection, relation)
    for name in proposal.encodings:
        message += f"; {name} holds numbers, and nothing says what they count"
    level: Level = "FAIL" if wrong or proposal.encodings else "warn" if proposal.changes else "ok"
    hint = "Map them under `columns:`, or make a view that has them." if wrong else ""
    if proposal.changes:
        hint = f"If these are meant, put this into `source:`\n{proposal.text}"
    yield Finding(level, dataset.name, "columns", message, hint)


def _shown(dataset: Dataset, name: str) -> str:
    source = dataset.source_name(name)
    return name if source == name else f"{source} (exported as {name})"


def _types(dataset: Dataset, inspection: Inspection, relation: Relation) -> Iterator[Finding]:
    fitting = True
    for column in dataset.schema.columns:
        name = dataset.source_name(column.name)
        found = relation.types.get(name)
        needed = found and inspection.misfit(column, found, dataset.config.source)
        if needed:
            fitting = False
            yield Finding(
                "FAIL", dataset.name, "types",
                f"{name} is {found}, but {column.name} of {dataset.schema.model} needs {needed}",
                _MISFIT,
            )  # fmt: skip
    if fitting and relation.types:
        yield Finding("ok", dataset.name, "types", f"What is there fits {dataset.schema.model}")


def _key(dataset: Dataset, inspection: Inspection, relation: Relation) -> Iterator[Finding]:
    name = dataset.source_name(dataset.config.source.key)
    if name not in relation.types:
        return  # said by columns
    repeats = inspection.key_repeats(relation, name)
    if repeats is None:
        yield Finding("ok", dataset.name, "key", f"A unique index holds {name}")
    elif repeats:
        yield Finding(
            "warn", dataset.name, "key", f"Values of {name} occur more than once",
            "Exports give every row and count the repeats; configure another `key` if this is "
            "none.",
        )  # fmt: skip
    else:
        yield Finding(
            "warn", dataset.name, "key", f"No unique index over {name} alone, never null",
            "No value repeats, so exports are right; with such an index they sort less.",
        )  # fmt: skip


def _concerns(dataset: Dataset, inspection: Inspection, relation: Relation) -> Iterator[Finding]:
    concerns = list(inspection.concerns(relation))
    for concern in concerns:
        yield Finding("warn", dataset.name, concern.check, concern.message, concern.hint)
    if not any(concern.check == "privileges" for concern in concerns):
        yield Finding("ok", dataset.name, "privileges", "Reading only")
