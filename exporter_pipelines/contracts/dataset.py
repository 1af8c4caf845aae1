"""A dataset: the configuration of its `defs.yaml` and its row schema, which fit each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from exporter_pipelines.contracts.column_settings import (
    SourceType,
    adjusted,
    check_default,
    check_nullable,
    extra_columns,
)
from exporter_pipelines.contracts.dataset_config import DatasetConfig
from exporter_pipelines.contracts.effective_rules import check_thresholds
from exporter_pipelines.contracts.privacy import (
    check_policy,
    exported_under,
)
from exporter_pipelines.contracts.reserved_names import check_column_names
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.slices import check_slices
from exporter_pipelines.errors import ConfigurationError, UnknownNameError


@dataclass(frozen=True)
class Dataset:
    """A dataset as the engine sees it: configuration plus row schema.

    Args:
        config: The configuration.
        schema: As the Pandera model declares it. The attribute is the schema that the
            configuration makes of it (`nullable`, `defaults`).

    Raises:
        UnknownNameError: `key`, `time_column`, `columns`, `select`, `rules`, `defaults` or
            `nullable` name a column that the schema lacks, or `thresholds` a rule that does not
            exist.
        ConfigurationError: the time column of the schema is not a required timestamp, `select`
            lacks a column that it must have, an exported column has a name that readers confuse, a
            default is not valid, or a rule cannot be used.
    """

    config: DatasetConfig
    schema: RowSchema
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.config.name)
        source = self.config.source
        for name in self.config.nullable:
            check_nullable(name, source, self.schema)
        object.__setattr__(
            self, "schema", adjusted(self.schema, self.config.defaults, self.config.nullable)
        )
        for kind, column in (
            ("key", source.key),
            ("time_column", source.time_column),
            *(("columns:", name) for name in source.columns),
            *(("encodings:", name) for name in source.encodings),
        ):
            if column not in self.schema.names:
                raise UnknownNameError(
                    f"{kind} column",
                    column,
                    self.schema.names,
                    f"Write the name as {self.schema.model} exports it; "
                    "`columns:` maps it to the name in the database.",
                )
        time = self.schema[source.time_column]
        if not time.is_timestamp or time.nullable:
            raise ConfigurationError(
                f"time_column {time.name!r} is not a required timestamp in {self.schema.model}.",
                'Declare it as `Annotated[pa.timestamp, "us", "UTC"]` without nullable.',
            )
        for name in source.encodings:
            if not self.schema[name].is_timestamp:
                raise ConfigurationError(
                    f"encodings: {name!r} is not a timestamp in {self.schema.model}.",
                    "Only time columns have an encoding.",
                )
        check_select(self.config, self.schema)
        check_slices(
            self.name,
            self.config.slices,
            has_policy=self.config.privacy is not None,
            has_file_limit=self.config.max_file_records is not None,
            sql_rules=self.config.sql_rules,
        )
        check_privacy(self.config, self.schema)
        check_column_names(self.exported(self.schema).names, self.schema.model)
        check_thresholds(self.config.thresholds, self.schema, self.config.rules)
        judging = self.judging(self.schema)
        for name, value in self.config.defaults.items():
            check_default(name, value, source, judging)

    def judging(self, schema: RowSchema) -> RowSchema:
        """The schema that rows are validated with: `schema` and the rules of this dataset.

        Args:
            schema: The schema of this dataset, as declared or as bound to a source.
        """
        return self.config.judging(schema)

    def exported(self, schema: RowSchema) -> RowSchema:
        """`schema` with the columns that are exported, in their order and under the policy."""
        selected, policy = self.selected(schema), self.config.privacy
        return selected if policy is None else exported_under(policy, selected)

    def selected(self, schema: RowSchema) -> RowSchema:
        """`schema` with the columns that are exported, before the privacy policy."""
        return _selected(self.config, schema)

    def with_extra_columns(self, types: Mapping[str, SourceType]) -> Dataset:
        """The dataset as a source reads it: with the columns that `extra_columns: keep` adds.

        `select:` names all columns to export, so no others are added to them.

        Args:
            types: Source column -> type, of every column of the source.
        """
        if self.config.extra_columns == "ignore" or self.config.select is not None:
            return self
        used = {self.source_name(name) for name in self.schema.names}
        found = extra_columns(self.schema, used, types)
        if not found:
            return self
        source = self.config.source
        names = {**source.columns, **{c.name: c.extra for c in found if c.name != c.extra}}
        source = source.model_copy(update={"columns": names})
        return replace(
            self,
            config=self.config.model_copy(update={"source": source}),
            schema=self.schema.extended(found),
        )

    def named_as_in(self, names: Collection[str], longest: int | None) -> Dataset:
        """The dataset for a database that cuts off long names.

        Args:
            names: The columns of the source.
            longest: Bytes (UTF-8) of a name that the database keeps; None if it keeps all.
        """
        source, cut = self.config.source, {}
        written = [*map(self.source_name, self.schema.names), source.updated_column or ""]
        for name in written:
            kept = cut_off(name, longest)
            if name not in names and kept in names:
                cut[name] = kept
        if not cut:
            return self
        columns = {
            name: cut.get(self.source_name(name), self.source_name(name))
            for name in self.schema.names
            if name in source.columns or self.source_name(name) in cut
        }
        updated = source.updated_column and cut.get(source.updated_column, source.updated_column)
        source = source.model_copy(update={"columns": columns, "updated_column": updated})
        return replace(self, config=self.config.model_copy(update={"source": source}))

    def source_name(self, column: str) -> str:
        """The name in the database of an exported column."""
        return self.config.source.columns.get(column, column)


def check_select(config: DatasetConfig, schema: RowSchema) -> None:
    """Check that `select:` names each column once and includes key and time column.

    Raises:
        ConfigurationError: a column is unknown, repeated or missing.
    """
    if config.select is None:
        return
    for column in config.select:
        if column not in schema.names:
            raise UnknownNameError("select: column", column, schema.names)
        if config.select.count(column) > 1:
            raise ConfigurationError(f"select: column {column!r} is named twice.")
    for column in (config.source.key, config.source.time_column):
        if column not in config.select:
            raise ConfigurationError(
                f"select: column {column!r} is missing.",
                "Key and time column must always be exported.",
            )


def check_privacy(config: DatasetConfig, schema: RowSchema) -> None:
    """Check that the privacy policy, if there is one, covers all exported columns.

    Raises:
        ConfigurationError: it does not, or it names an unknown column.
    """
    if config.privacy is not None:
        check_policy(
            config.privacy,
            _selected(config, schema),
            config.source,
            all_columns=schema,
            open_ended=config.extra_columns == "keep",
        )


def _selected(config: DatasetConfig, schema: RowSchema) -> RowSchema:
    return schema if config.select is None else schema.selected(config.select)


def cut_off(name: str, longest: int | None) -> str:
    """The first bytes of a name in UTF-8, without a part of a character."""
    return name.encode()[:longest].decode("utf-8", "ignore")
