"""The requests and responses of `/export`, with the names that the user gave to the fields.

`models` has those of `/api/v1`, which say more.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from exporter_pipelines.service.models import DatasetName, ExportState, Request, Response

Status = Literal["pending", "running", "completed", "failed"]


class ExportConfig(Request):
    """The body of `POST /export/...`."""

    startDate: str | None = Field(default=None, max_length=40)  # noqa: N815
    """First day, or a moment at the beginning of a day."""
    endDate: str | None = Field(default=None, max_length=40)  # noqa: N815
    """Last day, included; or a moment at which a day ends."""
    dataTypes: list[DatasetName] | None = Field(  # noqa: N815
        default=None, min_length=1, max_length=20
    )
    """Names of datasets and presets. For a path that names a dataset, it may be left out."""
    batchSize: int | None = Field(default=None, ge=1_000, le=500_000)  # noqa: N815
    """Maximum rows in a batch; null for the default. Never changes the result."""


class ExportMetadata(Response):
    """What an export has published. A field that is not known before its end is null."""

    export_timestamp: dt.datetime | None
    """When its last day was published, UTC."""
    data_version: str | None
    """SHA-256 of the data versions of its days, in order."""
    export_config: ExportConfig
    """What was asked for."""
    record_count: int | None
    """Rows exported."""
    file_size: int | None
    """Bytes of the data files."""
    data_quality_metrics: dict[str, float] | None
    """Metric to number: percentages are weighted by rows, counts are added."""
    export_id: str
    """Identifies the export."""
    state: ExportState
    """The state in the words of `/api/v1`."""


class ExportStatus(Response):
    """The progress of an export."""

    status: Status
    """`failed` also stands for a held or cancelled export; `state` tells them apart."""
    progress: float
    """Percent of all days of all datasets; never decreases."""
    currentBatch: int | None  # noqa: N815
    """Number of the batch of the day that is being exported; null if none is."""
    totalBatches: int | None  # noqa: N815
    """Batches of this day, estimated from its number of rows."""
    errors: list[str]
    """A sentence for each day that was not published; after 20 one that says how many more."""
    export_id: str
    """Identifies the export."""
    state: ExportState
    """The state in the words of `/api/v1`."""


class HistoryItem(ExportMetadata):
    """One export of the history."""

    id: str
    """Identifies the export."""
    timestamp: dt.datetime
    """When it was started, UTC."""
    dataTypes: list[str]  # noqa: N815
    """The datasets and presets that were exported."""
    recordCount: int  # noqa: N815
    """Rows exported so far."""
    status: Status
    """As in the status."""
