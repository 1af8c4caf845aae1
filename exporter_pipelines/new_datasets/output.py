"""The files of a plan, and where they are written."""

from __future__ import annotations

from pathlib import Path

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.errors import printable
from exporter_pipelines.new_datasets.adapted import adapted
from exporter_pipelines.new_datasets.files import (
    defs_yaml,
    description_block,
    name_block,
    nullable_block,
    schema_py,
    source_block,
)
from exporter_pipelines.new_datasets.plan import Plan
from exporter_pipelines.new_datasets.proposed_policies import policy_text, without_proposal
from exporter_pipelines.new_datasets.writing import existing, replace_file, write_folder


def files_of(plan: Plan, definitions: Definitions) -> dict[str, str]:
    """Name -> text of the files of a dataset.

    Raises:
        ConfigurationError: the file that is to be changed is not laid out as usual.
    """
    if plan.like is None:
        text = defs_yaml(plan) + policy_text(plan)
        return {"__init__.py": "", "defs.yaml": text, "schema.py": schema_py(plan)}
    blocks = {"source": source_block(plan)}
    if plan.with_nulls:
        blocks["nullable"] = nullable_block(plan)
    if plan.left_out:
        blocks["extra_columns"] = "  extra_columns: keep             # columns not in the schema"
    if plan.name != plan.like.name:
        blocks |= {"name": name_block(plan), "description": description_block(plan)}
    text = without_proposal(adapted(_file_of(plan.like, definitions), blocks))
    if plan.like.config.privacy is None:
        text += policy_text(plan)
    if plan.name == plan.like.name:
        return {"defs.yaml": text}
    return {"__init__.py": "", "defs.yaml": text}


def write(plan: Plan, definitions: Definitions, *, force: bool) -> Path:
    """Write the files of a dataset, all or none, and return their folder.

    Raises:
        ConfigurationError: they exist and `force` is not given, or they cannot be written.
    """
    folder = folder_of(plan, definitions)
    files = files_of(plan, definitions)
    if plan.like and plan.name == plan.like.name:
        if not force:
            source = plan.like.config.source
            raise existing(folder, f" and reads {printable(source.origin)} of {source.url}")
        replace_file(folder / "defs.yaml", files["defs.yaml"])
    else:
        write_folder(folder, files, force=force)
    return folder


def folder_of(plan: Plan, definitions: Definitions) -> Path:
    """Where the files of a dataset are or will be."""
    for each in definitions:
        if each.name == plan.name:
            return each.file.parent
    return definitions.folder / plan.name


def _file_of(dataset: Dataset, definitions: Definitions) -> Path:
    return next(each.file for each in definitions if each.name == dataset.name)
