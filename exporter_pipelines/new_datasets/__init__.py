"""Writes the `defs.yaml` and the `schema.py` of a table that nobody described yet.

Belongs here: choosing names, key, time column and types from an inspection, and writing the files.
Does not belong here: database access (`sources`), or the output of the command (`cli.init`).
"""

from exporter_pipelines.new_datasets.candidates import Candidate, candidates
from exporter_pipelines.new_datasets.deletion_marks import deletion_marks
from exporter_pipelines.new_datasets.output import files_of, folder_of, write
from exporter_pipelines.new_datasets.plan import Plan
from exporter_pipelines.new_datasets.planner import Planner
from exporter_pipelines.new_datasets.shipped import Resemblance
from exporter_pipelines.new_datasets.unsuitable import UnsuitableTableError

__all__ = [
    "Candidate", "Plan", "Planner", "Resemblance", "UnsuitableTableError", "candidates",
    "deletion_marks", "files_of", "folder_of", "write",
]  # fmt: skip
