"""The schema of an IP record."""

from __future__ import annotations

from typing import Annotated, Optional

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from exporter_pipelines.contracts.rules import parses_as_address


class IpRow(pandera.DataFrameModel):
    """One address and its facts; it belongs to the day on which it was last seen."""

    address: pa.string = pandera.Field(description="IPv4 or IPv6.")
    first_seen: Annotated[pa.timestamp, "us", "UTC"] = pandera.Field(description="First sighting.")
    last_seen: Annotated[pa.timestamp, "us", "UTC"] = pandera.Field(description="Latest sighting.")
    risk_score: pa.float64 = pandera.Field(description="From 0 to 100, higher is worse.")
    id: Optional[pa.int64] = pandera.Field(
        nullable=True, metadata={"identifier": True}, description="Identifies the record."
    )
    country: Optional[pa.string] = pandera.Field(
        nullable=True, description="Country of the address."
    )
    labels: Optional[pa.string] = pandera.Field(
        nullable=True, metadata={"json": True}, description="Lists and campaigns that include it."
    )

    @pandera.check("address", name="valid_address")
    def _valid_address(cls, address: pd.Series) -> pd.Series:
        return parses_as_address(address)

    @pandera.check("risk_score", name="risk_score_in_range")
    def _risk_score_in_range(cls, score: pd.Series) -> pd.Series:
        return (score >= 0) & (score <= 100)

    @pandera.dataframe_check(name="seen_in_order")
    def _seen_in_order(cls, rows: pd.DataFrame) -> pd.Series:
        return (rows["first_seen"] <= rows["last_seen"]).fillna(True)
