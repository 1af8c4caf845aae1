"""The definitions: the `defs.yaml` files, read and checked in one place, without Dagster.

Belongs here: parsing a `defs.yaml` into documents that know their lines, one list of checks, one
sentence per mistake, and finding a dataset or a preset by its name. The Dagster components, the
doctor, the commands and `api` all read definitions here, so they agree.
Does not belong here: what a setting means (`contracts`), or what is made of a dataset.
"""

from exporter_pipelines.defs_files.definitions import (
    Definition,
    Definitions,
    dataset_named,
    exported_names,
)

__all__ = ["Definition", "Definitions", "dataset_named", "exported_names"]
