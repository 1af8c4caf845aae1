"""Checks everything that an export needs, and says what to change. It changes nothing.

Belongs here: one module per subject, each yielding `contracts.inspection.Finding`s.
Does not belong here: database access (`sources`), or anything of Dagster.
"""

from exporter_pipelines.doctor.examination import Broken, examine
from exporter_pipelines.doctor.rows import DEFAULT_SECONDS, RowCheck

__all__ = ["DEFAULT_SECONDS", "Broken", "RowCheck", "examine"]
