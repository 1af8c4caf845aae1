"""Looks at everything that an export needs, and says what to change; changes nothing.

Belongs here: one module per subject, each giving `contracts.inspection.Finding`s.
Does not belong here: talking to a database (`sources`) or knowing Dagster.
"""

from exporter_pipelines.doctor.examination import examine

__all__ = ["examine"]
