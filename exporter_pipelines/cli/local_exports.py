"""`exporter status` and `exporter history` without a service: they read Dagster's history here."""

from __future__ import annotations

import time
from itertools import islice
from typing import Any

from exporter_pipelines.cli.export_lines import print_export, print_history
from exporter_pipelines.cli.export_progress import Display
from exporter_pipelines.cli.export_results import ENDED, exit_code, look_at
from exporter_pipelines.service.history import HistoryQuery
from exporter_pipelines.service.models import Export
from exporter_pipelines.service.reading import ExportReader, export_reader

_ASK_EVERY_S = 1.0


def show_status(export_id: str, *, wait: bool, as_json: bool) -> int:
    """Print an export, and return the exit code."""
    with export_reader() as reader:
        export = reader.get(export_id)
        if wait:
            export = _follow(reader, export)
    print_export(export, as_json=as_json)
    return exit_code(export)


def list_history(limit: int, *, as_json: bool, **only: Any) -> None:
    """Print the exports, newest first."""
    with export_reader() as reader:
        print_history(islice(reader.history(HistoryQuery(**only)), limit), as_json=as_json)


def _follow(reader: ExportReader, export: Export) -> Export:
    with Display(lambda: look_at(export)):
        while export.status not in ENDED:
            time.sleep(_ASK_EVERY_S)
            export = reader.get(export.id)
    return export
