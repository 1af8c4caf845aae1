"""Writes all files of a training set into a folder, step by step, and checks them.

Belongs here: the order of the steps. Each step is a module of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.contracts.training_manifest import TrainingManifest
from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.training.cards import write_cards
from exporter_pipelines.training.checks import run_checks
from exporter_pipelines.training.choosing import choose_rows
from exporter_pipelines.training.columns import columns_of_labels, columns_of_rows
from exporter_pipelines.training.engine import TrainingSetError
from exporter_pipelines.training.examples import Examples, RowExamples
from exporter_pipelines.training.inputs import Inputs
from exporter_pipelines.training.labelling import label_rows
from exporter_pipelines.training.loghub import write_loghub_csv
from exporter_pipelines.training.set_manifest import Counted, described, other_files
from exporter_pipelines.training.shards import write_shards
from exporter_pipelines.training.splitting import assign_splits, find_boundaries
from exporter_pipelines.training.windows import make_windows
from exporter_pipelines.training.work_files import WorkFile, write_work_files
from exporter_pipelines.training.written import Outcome, open_written

Report = Callable[[str], None]


@dataclass(frozen=True)
class SetWriter:
    """Writes one version of a training set.

    Attributes:
        connection: To an empty database of DuckDB.
        config: Of the set.
        store: Where the days are.
        inputs: The days.
        work: Folder for files that are not of the set.
        folder: Of the version; empty.
        report: Called with one sentence per step.
    """

    connection: duckdb.DuckDBPyConnection
    config: TrainingSetConfig
    store: Store
    inputs: Inputs
    work: Path
    folder: Path
    report: Report

    def write(self, version: str) -> tuple[TrainingManifest, list[Outcome]]:
        """Write everything; the manifest, and the results of the checks.

        Raises:
            InputChangedError: a day was exported again in the meantime.
            TrainingSetError: the days have no rows.
        """
        connection, config, inputs = self.connection, self.config, self.inputs
        self.report(f"Reading {len(inputs.rows.days)} days of {inputs.rows.dataset}.")
        rows, labels = self._work_files()
        if not rows:
            raise TrainingSetError(
                f"Training set {config.name!r}: the chosen days of {config.dataset} have no rows.",
                "Choose other days.",
            )
        labelled = label_rows(connection, config, inputs, rows, labels)
        boundaries = find_boundaries(connection, config)
        left_out = assign_splits(connection, config, boundaries, inputs.open_ends())
        left_out |= choose_rows(connection, config)
        self.report("Writing the examples.")
        examples: Examples = RowExamples(connection, config, inputs, rows)
        if config.windows:
            examples, lost = make_windows(connection, config, config.windows, boundaries, self.work)
            left_out |= lost
        shards = write_shards(examples, self.folder, config.output.rows_per_file, self.work)
        templates = self._write_templates()
        if "loghub_csv" in config.output.layouts:
            write_loghub_csv(connection, config, rows, self.folder)
        self.report("Checking the files.")
        written = open_written(connection, self.folder, config, inputs, boundaries)
        outcomes = run_checks(written)
        counted = Counted(labelled, left_out, templates)
        manifest = described(written, version, self.folder, shards, counted, outcomes)
        location = self.store.versions(config.name).location
        write_cards(connection, config, manifest, self.folder, location)
        manifest = manifest.model_copy(update={"other_files": other_files(self.folder)})
        (self.folder / MANIFEST_NAME).write_bytes(manifest.to_json())
        return manifest, outcomes

    def _work_files(self) -> tuple[list[WorkFile], dict[str, list[WorkFile]]]:
        """The work files of the rows, and of each label dataset by its name."""
        columns = columns_of_rows(self.config, self.inputs)
        rows = write_work_files(self.store, self.inputs.rows, columns, self._made("rows"))
        labels = {}
        for number, (name, each) in enumerate(self.inputs.labels.items()):
            columns = columns_of_labels(self.config, self.inputs, name)
            home = self._made(f"labels-{number}")
            labels[name] = write_work_files(self.store, each, columns, home)
        pa.default_memory_pool().release_unused()  # DuckDB has its own memory
        return rows, labels

    def _made(self, name: str) -> Path:
        home = self.work / name
        home.mkdir()
        return home

    def _write_templates(self) -> int:
        """Write event id, template and number of rows; the most frequent first."""
        table = self.connection.sql(
            "SELECT event_id, template, rows FROM templates ORDER BY rows DESC, event_id"
        ).to_arrow_table()
        pq.write_table(table, self.folder / "templates.parquet", compression="zstd")
        return len(table)
