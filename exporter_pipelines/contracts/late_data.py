"""What happens to published days whose source rows have changed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from exporter_pipelines.contracts.strict import Strict


class LateDataConfig(Strict):
    """What `late_data_sensor` does with a dataset, once it is switched on."""

    policy: Literal["report", "re-export"] = Field(
        "report",
        description="`report`: the check `source_unchanged` of the day warns. `re-export`: the "
        "day is also exported again, unless the source has fewer rows than before.",
    )
    deletes: Literal["report", "follow"] = Field(
        "report",
        description="What `re-export` does when the source has fewer rows than before. `report`: "
        "only warn. `follow`: export the day again; it is held if too many rows are gone.",
    )
    lookback_days: int = Field(7, ge=1, le=400, description="Number of days before today to check.")
    settle_minutes: int = Field(
        30,
        ge=0,
        description="A change counts after the day's rows have been stable for this many minutes, "
        "so that a batch that is still arriving is exported once, at its end.",
    )
