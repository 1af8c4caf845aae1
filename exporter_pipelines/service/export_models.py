"""The requests and responses of `/export`, with the names that the user gave to the fields.

`models` has those of `/api/v1`, which say more.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from exporter_pipelines.service.models import DatasetName, ExportState, Request, Response


class ExportConfig(Request):
    """The body of `POST /export/...`; a value in the query wins over one here.

    Attributes:
        startDate, endDate: A day, included; or a moment, see `dates_of_a_request`.
        dataTypes: Datasets and presets.
        batchSize: Maximum rows in a batch.
    """

    startDate: str | None = Field(default=None, max_length=40)  # noqa: N815
    endDate: str | None = Field(default=None, max_length=40)  # noqa: N815
    dataTypes: list[DatasetName] | None = Field(  # noqa: N815
        default=None, min_length=1, max_length=20
    )
    batchSize: int | None = Field(default=None, ge=1_000, le=500_000)  # noqa: N815


class ExportMetadata(Response):
    """The six fields that describe a result, over all days of an export.

    A field that is not known before the export has ended is null.
    """

    export_id: str
    state: ExportState
    export_timestamp: dt.datetime | None
    """When the last day was published."""
    data_version: str | None
    """A hash of the versions of the days, in order."""
    export_config: ExportConfig
    record_count: int | None
    file_size: int | None
    data_quality_metrics: dict[str, float] | None


class ExportStatus(Response):
    """The progress of an export, with the names that the user gave them."""

    status: Literal["pending", "running", "completed", "failed"]
    """`failed` for a held or cancelled export, too; see `state`."""
    progress: float
    currentBatch: int | None  # noqa: N815
    totalBatches: int | None  # noqa: N815
    errors: list[str]
    export_id: str
    state: ExportState


class HistoryItem(ExportMetadata):
    """One export of the history."""

    id: str
    timestamp: dt.datetime
    dataTypes: list[str]  # noqa: N815
    recordCount: int  # noqa: N815
    status: Literal["pending", "running", "completed", "failed"]
