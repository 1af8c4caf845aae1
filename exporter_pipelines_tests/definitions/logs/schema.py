"""The schema of a log record."""

from __future__ import annotations

from typing import Annotated, Optional

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from exporter_pipelines.contracts.rules import parses_as_address
from exporter_pipelines.transforms.level_aliases import LEVELS


class LogRow(pandera.DataFrameModel):
    """One log record of a device or service."""

    id: pa.int64 = pandera.Field(
        metadata={"identifier": True}, description="Identifies the record: integer, uuid or text."
    )
    timestamp: Annotated[pa.timestamp, "us", "UTC"] = pandera.Field(
        description="When it was logged."
    )
    level: pa.string = pandera.Field(
        metadata={"values": LEVELS}, description="DEBUG, INFO, WARNING, ERROR or CRITICAL."
    )
    message: pa.string = pandera.Field(description="The text; may hold line breaks.")
    source: pa.string = pandera.Field(description="Process or service that logged it.")
    device: Optional[pa.string] = pandera.Field(nullable=True, description="Host of the process.")
    ip: Optional[pa.string] = pandera.Field(nullable=True, description="IP address concerned.")
    attributes: Optional[pa.string] = pandera.Field(
        nullable=True, metadata={"json": True}, description="Everything else, as JSON."
    )

    @pandera.check("level", name="known_level")
    def _known_level(cls, level: pd.Series) -> pd.Series:
        return level.isin(LEVELS)

    @pandera.check("ip", name="valid_address")
    def _valid_address(cls, ip: pd.Series) -> pd.Series:
        return parses_as_address(ip)
