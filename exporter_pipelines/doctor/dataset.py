"""Checks a dataset against its database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.inspection import Finding, Inspection, Level, Relation
from exporter_pipelines.contracts.sql_names import quoted
from exporter_pipelines.databases import SampleNotMadeError
from exporter_pipelines.doctor.connections import Connections
from exporter_pipelines.doctor.mapping import proposal_for
from exporter_pipelines.doctor.personal_data import CHECK as PERSONAL_DATA
from exporter_pipelines.doctor.personal_data import examine_personal_data
from exporter_pipelines.doctor.rows import RowCheck
from exporter_pipelines.doctor.tables import ranked_tables
from exporter_pipelines.doctor.time_column import examine_time
from exporter_pipelines.errors import ExporterError, listed, printable

_SHOWN_TABLES = 20
_MISFIT = (
    "Use a setting of `source:` if there is one. Otherwise change the schema, or read a view that "
    "casts the column."
)

_MISSING = (
    "Map them under `columns:`, write values for them under `defaults:`, or create a view that has "
    "them."
)


def examine_dataset(
    dataset: Dataset, connections: Connections, rows: RowCheck
) -> Iterator[Finding]:
    """Check connection, table, columns, key, time column and rows, until one cannot be read."""
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
        yield from _attempted(dataset, "table", lambda: _missing_table(dataset, inspection))
    elif not relation.readable:
        yield Finding(
            "FAIL",
            dataset.name,
            "table",
            f"This user has no permission to read {source.table}",
            f"GRANT SELECT ON {quoted(source.table or '')} (and USAGE on its schema) to the user.",
        )
    else:
        yield from _examine_relation(dataset, inspection, relation, connections, rows)


def examine_preset(preset: Dataset, connections: Connections, rows: RowCheck) -> Iterator[Finding]:
    """Check the rows of a dataset whose source was checked under another name."""
    source = preset.config.source
    try:
        inspection = connections.to(source.url)
        relation = inspection.find(source)
    except ExporterError:  # reported under the other name
        return
    if relation is None or not relation.readable or not relation.types:
        return
    preset = preset.named_as_in(relation.types, relation.longest_name)
    misfits = [
        *_attempted(preset, "columns", lambda: _columns(preset, inspection, relation)),
        *_attempted(preset, "types", lambda: _types(preset, inspection, relation)),
    ]
    if not any(finding.level == "FAIL" for finding in misfits):
        yield from rows.examine(preset, connections.session, inspection, relation)
        if preset.config.privacy and rows.seconds > 0:
            yield from _attempted(
                preset, PERSONAL_DATA, lambda: _personal(preset, inspection, relation, rows)
            )


def _examine_relation(
    dataset: Dataset,
    inspection: Inspection,
    relation: Relation,
    connections: Connections,
    rows: RowCheck,
) -> Iterator[Finding]:
    dataset = dataset.named_as_in(relation.types, relation.longest_name)
    kind = "view " if relation.is_view else "table "
    kind = kind if dataset.config.source.table else ""
    yield Finding("ok", dataset.name, "table", f"The {kind}{printable(relation.name)} can be read")
    fits = bool(relation.types)
    for finding in (
        *_attempted(dataset, "columns", lambda: _columns(dataset, inspection, relation)),
        *_attempted(dataset, "types", lambda: _types(dataset, inspection, relation)),
    ):
        fits = fits and finding.level != "FAIL"
        yield finding
    yield from _attempted(dataset, "key", lambda: _key(dataset, inspection, relation))
    for name, examine in examine_time(dataset, inspection, relation):
        yield from _attempted(dataset, name, examine)
    if fits:
        yield from rows.examine(dataset, connections.session, inspection, relation)
    if fits and rows.seconds > 0:
        yield from _attempted(
            dataset, PERSONAL_DATA, lambda: _personal(dataset, inspection, relation, rows)
        )
    yield from _attempted(dataset, "privileges", lambda: _concerns(dataset, inspection, relation))


def _attempted(
    dataset: Dataset, check: str, examine: Callable[[], Iterator[Finding]]
) -> Iterator[Finding]:
    """The findings of one check, or a warning that it could not be completed."""
    try:
        yield from examine()
    except ExporterError as error:
        yield Finding(
            "warn", dataset.name, check, f"Could not be checked: {error.message}", error.hint
        )


def _missing_table(dataset: Dataset, inspection: Inspection) -> Iterator[Finding]:
    relations = [each for each in inspection.relations() if each.readable and each.nameable]
    names = listed(relation.name for relation in relations[:_SHOWN_TABLES])
    more = f" and {len(relations) - _SHOWN_TABLES} more" if relations[_SHOWN_TABLES:] else ""
    hint = "Correct `table` in its defs.yaml; write schema.table for another schema."
    for relation in ranked_tables(dataset, inspection, relations)[:1]:
        proposal = proposal_for(dataset, inspection, relation)
        hint += (
            f" The most similar table is {printable(relation.name)}. Put this into `source:`\n"
            f"{proposal.text}"
        )
    yield Finding(
        "FAIL", dataset.name, "table",
        f"{dataset.config.source.origin} does not exist or is not visible to this user "
        f"(there are: {names}{more})", hint,
    )  # fmt: skip


def _columns(dataset: Dataset, inspection: Inspection, relation: Relation) -> Iterator[Finding]:
    configured, columns = dataset.config.source.columns, dataset.schema.columns
    absent = [c for c in columns if dataset.source_name(c.name) not in relation.types]
    wrong = [c.name for c in absent if c.required or c.name in configured]
    optional = [c.name for c in absent if c.name not in wrong]
    message = f"{len(columns) - len(absent)} of {len(columns)} columns found"
    if wrong:
        names = listed(_shown(dataset, name) for name in wrong)
        message = f"{printable(relation.name)} has no {names} (there are: {listed(relation.types)})"
    defaults = dataset.config.defaults
    if nulls := [name for name in optional if name not in defaults and not wrong]:
        message += f"; exported as null: {', '.join(nulls)}"
    if filled := [name for name in optional if name in defaults and not wrong]:
        message += f"; exported with their default: {', '.join(filled)}"
    if left := _not_exported(dataset, relation):
        message += f"; not exported: {listed(left)}"
    proposal = proposal_for(dataset, inspection, relation)
    for name in proposal.encodings:
        message += f"; {name} contains numbers, but has no entry in `encodings:`"
    level: Level = "FAIL" if wrong or proposal.encodings else "warn" if proposal.changes else "ok"
    hint = _MISSING if wrong else ""
    if proposal.changes:
        hint = f"If these columns are correct, put this into `source:`\n{proposal.text}"
    yield Finding(level, dataset.name, "columns", message, hint)


def _not_exported(dataset: Dataset, relation: Relation) -> list[str]:
    """Columns of the table that no exported column reads."""
    config = dataset.config
    if config.extra_columns == "keep" and config.select is None:
        return []
    exported = {dataset.source_name(name) for name in config.select or dataset.schema.names}
    return [name for name in relation.types if name not in exported]


def _shown(dataset: Dataset, name: str) -> str:
    source = dataset.source_name(name)
    return name if source == name else f"{source} (exported as {name})"


def _types(dataset: Dataset, inspection: Inspection, relation: Relation) -> Iterator[Finding]:
    all_match = True
    for column in dataset.schema.columns:
        name = dataset.source_name(column.name)
        found = relation.types.get(name)
        needed = found and inspection.misfit(column, found, dataset.config.source)
        if needed:
            all_match = False
            yield Finding(
                "FAIL", dataset.name, "types",
                f"{name} is {found}, but {column.name} of {dataset.schema.model} needs {needed}",
                _MISFIT,
            )  # fmt: skip
    if all_match and relation.types:
        yield Finding("ok", dataset.name, "types", f"All column types match {dataset.schema.model}")


def _key(dataset: Dataset, inspection: Inspection, relation: Relation) -> Iterator[Finding]:
    name = dataset.source_name(dataset.config.source.key)
    if name not in relation.types:
        return  # reported by the check `columns`
    repeats = inspection.key_repeats(relation, name)
    if repeats is None:
        yield Finding("ok", dataset.name, "key", f"{name} has a unique index")
    elif repeats:
        yield Finding(
            "warn", dataset.name, "key", f"{name} has repeated values",
            "All rows are exported, and repeated keys are counted. If this column is not the key, "
            "configure another `key`.",
        )  # fmt: skip
    elif name in inspection.keys_without_null(relation):
        yield Finding(
            "warn", dataset.name, "key", f"{name} has a unique index, but may be null",
            "No row is null in it, so exports are correct. Declared NOT NULL, they sort less.",
        )  # fmt: skip
    else:
        yield Finding(
            "warn", dataset.name, "key", f"{name} has no unique index, or may be null",
            "No value is repeated, so exports are correct. With a unique index they sort less.",
        )  # fmt: skip


def _personal(
    dataset: Dataset, inspection: Inspection, relation: Relation, rows: RowCheck
) -> Iterator[Finding]:
    return examine_personal_data(dataset, inspection, relation, propose=rows.propose_policies)


def _concerns(dataset: Dataset, inspection: Inspection, relation: Relation) -> Iterator[Finding]:
    concerns = list(inspection.concerns(relation))
    for concern in concerns:
        yield Finding(concern.level, dataset.name, concern.check, concern.message, concern.hint)
    if not any(concern.check == "privileges" for concern in concerns):
        yield Finding("ok", dataset.name, "privileges", "Read-only")
