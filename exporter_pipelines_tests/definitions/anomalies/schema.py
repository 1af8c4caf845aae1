"""The schema of an anomaly."""

from __future__ import annotations

from typing import Annotated, Optional

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from exporter_pipelines.contracts.rules import parses_as_address


class AnomalyRow(pandera.DataFrameModel):
    """One finding of a detector."""

    id: pa.int64 = pandera.Field(
        metadata={"identifier": True}, description="Identifies the finding: integer, uuid or text."
    )
    timestamp: Annotated[pa.timestamp, "us", "UTC"] = pandera.Field(
        description="When it was detected."
    )
    type: pa.string = pandera.Field(description="Kind of anomaly.")
    score: pa.float64 = pandera.Field(description="From 0 to 1, higher is more unusual.")
    severity: Optional[pa.string] = pandera.Field(nullable=True, description="Band of the score.")
    status: Optional[pa.string] = pandera.Field(
        nullable=True, description="Assessment by an analyst."
    )
    log_id: Optional[pa.int64] = pandera.Field(
        nullable=True,
        metadata={"identifier": True},
        description="Log record in which it was found.",
    )
    ip: Optional[pa.string] = pandera.Field(nullable=True, description="IP address concerned.")
    details: pa.string = pandera.Field(
        metadata={"json": True}, description="Details from the detector: JSON or plain text."
    )

    @pandera.check("score", name="score_in_range")
    def _score_in_range(cls, score: pd.Series) -> pd.Series:
        return (score >= 0) & (score <= 1)

    @pandera.check("ip", name="valid_address")
    def _valid_address(cls, ip: pd.Series) -> pd.Series:
        return parses_as_address(ip)
