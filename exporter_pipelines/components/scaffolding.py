"""What `dg scaffold defs` writes: the folder of a new dataset, or of a new preset.

https://docs.dagster.io/guides/build/components/creating-new-components
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.formats import FORMATS

_DATASET = """\
# Where the {name} are and how they are exported. Every setting: docs/datasets.md
type: {type}

attributes:
  name: {name}
  description: One partition per day of `timestamp`.
  schema: {module}.schema.{model}

  source:
    url: EXPORTER_SOURCE_URL      # the NAME of an environment variable, never a URL
    table: {name:<22} # or schema.table
    key: id                       # exported names here; `columns` maps them to the table's
    time_column: timestamp
    timezone: UTC                 # of time columns that are stored without one
    columns: {{}}                   # exported name: name in the table, e.g. timestamp: started_at

  validation: strict              # or basic: required fields and types only
  format: {format:<23} # or {other_formats}
  compression: gzip               # none, gzip or zstd
  max_rejected_pct: 1.0           # a day is held only above BOTH limits
  max_rejected_rows: 10
  schedule: "30 2 * * *"          # in EXPORTER_TIMEZONE; off until switched on
"""
_SCHEMA = '''\
"""What a row of {name} is. Types, nulls, JSON and rules: docs/schema.md."""

from __future__ import annotations

from typing import Annotated, Optional

import pandera.pandas as pandera
import pyarrow as pa


class {model}(pandera.DataFrameModel):
    """One row of {name}."""

    id: pa.int64 = pandera.Field(
        metadata={{"identifier": True}}, description="Identifies the row: integer, uuid or text."
    )
    timestamp: Annotated[pa.timestamp, "us", "UTC"] = pandera.Field(
        description="Decides the day of the row."
    )
    # Optional: the table need not have the column. nullable: a row need not have a value.
    details: Optional[pa.string] = pandera.Field(
        nullable=True, metadata={{"json": True}}, description="Everything else, as JSON."
    )

    # A rule; its name appears in checks, metrics and quarantine.
    # @pandera.check("id", name="positive_id")
    # def _positive_id(cls, id):
    #     return id > 0
'''
_PRESET = """\
# What a preset may override: docs/presets.md
type: {type}

attributes:
  name: {name}
  like: logs                      # the dataset that it is like

  # filters:
  #   - {{name: severe, column: level, op: in, value: [ERROR, CRITICAL]}}
  # select: [id, timestamp, level, message]
  # format: parquet
"""


class DatasetScaffolder(dg.Scaffolder[Any]):
    """Writes `defs.yaml` and `schema.py` of a dataset that is named like its folder."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the folder.

        Raises:
            click.ClickException: the folder's name cannot be a dataset's, or files are there
                already; `dg` shows it without a traceback.
        """
        name = _begin(request, "defs.yaml", "schema.py")
        folder = request.target_path
        model = "".join(part.capitalize() for part in name.split("_")) + "Row"
        first, *others = FORMATS
        words = {
            "name": name, "type": request.type_name, "model": model, "module": _module(folder),
            "format": first, "other_formats": ", ".join(others),
        }  # fmt: skip
        (folder / "__init__.py").touch()
        (folder / "schema.py").write_text(_SCHEMA.format(**words))
        (folder / "defs.yaml").write_text(_DATASET.format(**words))


class PresetScaffolder(dg.Scaffolder[Any]):
    """Writes the `defs.yaml` of a preset that is named like its folder."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the folder; raises as for a dataset."""
        name = _begin(request, "defs.yaml")
        text = _PRESET.format(name=name, type=request.type_name)
        (request.target_path / "defs.yaml").write_text(text)


def _begin(request: dg.ScaffoldRequest[Any], *files: str) -> str:
    """The name of the new dataset, if it can be one and nothing would be overwritten."""
    folder = request.target_path
    problem = _problem(request, files)
    if problem:
        if not any(folder.iterdir()):
            folder.rmdir()  # dg made it; an empty folder must not stay behind
        raise click.ClickException(problem)
    return folder.name


def _problem(request: dg.ScaffoldRequest[Any], files: tuple[str, ...]) -> str:
    """Why a folder cannot be written; empty for no reason."""
    folder = request.target_path
    if request.scaffold_format != "yaml" or request.append:
        return (
            f"{folder.name} can be scaffolded as a folder of its own with a defs.yaml only. "
            "Leave out --format and --append."
        )
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", folder.name):
        return (
            f"{folder.name!r} cannot be the name of a dataset. "
            "Use small letters, digits and underscores, and begin with a letter."
        )
    if found := [file for file in files if (folder / file).exists()]:
        return f"{folder} has a {' and a '.join(found)} already. Choose another name."
    return ""


def _module(folder: Path) -> str:
    """Dotted path of a folder below `exporter_pipelines/defs`."""
    outside = settings.defs_folder()
    if outside is not None and folder.absolute().is_relative_to(outside):
        return ".".join(["exporter_pipelines.defs", *folder.absolute().relative_to(outside).parts])
    parts = folder.absolute().parts
    below = parts[len(parts) - parts[::-1].index("defs") :] if "defs" in parts else parts[-1:]
    return ".".join(["exporter_pipelines.defs", *below])
