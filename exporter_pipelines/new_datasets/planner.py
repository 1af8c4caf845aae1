"""Plans for several tables of one database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from exporter_pipelines.contracts.inspection import Inspection, Relation
from exporter_pipelines.contracts.source_config import DEFAULT_URL
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.defs_files.definitions import refusal_of
from exporter_pipelines.defs_files.training_sets import TrainingSets
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.new_datasets.mapped import planned_like
from exporter_pipelines.new_datasets.naming import dataset_name
from exporter_pipelines.new_datasets.own_schema import planned
from exporter_pipelines.new_datasets.plan import Plan
from exporter_pipelines.new_datasets.proposed_policies import with_proposal
from exporter_pipelines.new_datasets.shipped import (
    best_match,
    has_shipped_schema,
    resembled,
    shipped_datasets,
)


class Planner:
    """Gives each table its plan, and no two the same name.

    Args:
        inspection: Of the database.
        definitions: Of the project.
        timezone: Of times without a zone, if a user says so.
        variable: Environment variable with the URL of the database.
        use_shipped: Whether a table with logs, anomalies or IP records gets their schema.
        with_policies: Whether the proposed privacy policies are settings, and not comments.
    """

    def __init__(
        self,
        inspection: Inspection,
        definitions: Definitions,
        timezone: str | None,
        variable: str = DEFAULT_URL,
        *,
        use_shipped: bool = True,
        with_policies: bool = False,
    ) -> None:
        self.definitions = definitions
        self.shipped = shipped_datasets(definitions) if use_shipped else []
        self._inspection, self._timezone, self._variable = inspection, timezone, variable
        self._with_policies = with_policies
        self._taken: set[str] = set()

    def plan(
        self, relation: Relation, name: str | None = None, time_column: str | None = None
    ) -> Plan:
        """How a table is exported.

        Args:
            relation: The table or view.
            name: Of the dataset; made from the table if left out.
            time_column: The column that decides the day of a row; chosen if left out.

        Raises:
            ConfigurationError: the table cannot be exported as it is, or the name is not possible.
            ExporterError: the database cannot be read.
        """
        if name and (refused := refusal_of(name)):
            raise ConfigurationError(f"The name {name!r} {refused}.", "Choose another name.")
        match = best_match(self.shipped, self._inspection, relation) if relation.readable else None
        if match and time_column not in (None, match.time.column):
            match = None  # it takes another column for the time
        if name is None and match and match.dataset.name not in self._taken:
            name = match.dataset.name
        name = name or dataset_name(relation.name, self._taken)
        if match:
            plan = planned_like(match, self._inspection, relation, name, self._timezone)
        else:
            plan = planned(self._inspection, relation, name, self._timezone, time_column)
            near = resembled(self.shipped, self._inspection, relation)
            plan = replace(plan, resembles=near)
        self._taken.add(name)
        plan = replace(plan, variable=self._variable)
        return with_proposal(plan, self._inspection, active=self._with_policies)

    def without_table(self) -> Iterator[tuple[str, Path]]:
        """Datasets of the project whose table this database lacks, as the files are now."""
        definitions = Definitions(self.definitions.folder)
        for each in definitions:
            try:
                dataset = definitions.checked(each)
            except ConfigurationError:
                continue  # the doctor reports it
            source = dataset.config.source
            is_read = source.url == self._variable and source.table is not None
            if not is_read or not has_shipped_schema(dataset):
                continue
            if self._inspection.find(source) is None:
                yield each.name, each.file.parent

    def training_sets_of(self, datasets: set[str]) -> Iterator[tuple[str, Path]]:
        """Training sets that cannot be built without one of these datasets."""
        definitions = Definitions(self.definitions.folder)
        kept = {each.file.parent for each in definitions if each.name not in datasets}
        for each in TrainingSets(definitions):
            if each.config is None or each.file.parent in kept:
                continue  # the doctor reports a mistake
            used = {each.config.dataset, *(source.dataset for source in each.config.labels)}
            if used & datasets:
                yield each.name, each.file.parent
