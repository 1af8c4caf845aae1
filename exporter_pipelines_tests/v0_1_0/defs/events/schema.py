"""What an event is."""

from __future__ import annotations

from typing import Annotated, Optional

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from exporter_pipelines.contracts.rules import parses_as_address
from exporter_pipelines.transforms.level_aliases import LEVELS


class EventRow(pandera.DataFrameModel):
    """One event."""

    id: pa.int64 = pandera.Field(metadata={"identifier": True}, description="Identifies it.")
    timestamp: Annotated[pa.timestamp, "us", "UTC"] = pandera.Field(description="When it was.")
    level: pa.string = pandera.Field(metadata={"values": LEVELS}, description="How bad it is.")
    message: pa.string = pandera.Field(description="The text.")
    ip: Optional[pa.string] = pandera.Field(nullable=True, description="Address it is about.")
    attributes: Optional[pa.string] = pandera.Field(
        nullable=True, metadata={"json": True}, description="Everything else, as JSON."
    )

    @pandera.check("level", name="known_level")
    def _known_level(cls, level: pd.Series) -> pd.Series:
        return level.isin(LEVELS)

    @pandera.check("ip", name="valid_address")
    def _valid_address(cls, ip: pd.Series) -> pd.Series:
        return parses_as_address(ip)
