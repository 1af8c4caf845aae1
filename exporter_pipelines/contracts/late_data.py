"""What becomes of published days whose rows have changed in the source since."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from exporter_pipelines.contracts.strict import Strict


class LateDataConfig(Strict):
    """What `late_data_sensor` does with a dataset, once it is switched on."""

    policy: Literal["report", "re-export"] = Field(
        "report",
        description="`report`: the check `source_unchanged` of the day warns. `re-export`: the "
        "day is exported again as well, unless the source has fewer rows than before.",
    )
    lookback_days: int = Field(
        7, ge=1, le=400, description="So many days before today are looked at."
    )
    settle_minutes: int = Field(
        30,
        ge=0,
        description="A day counts as changed when its rows have stayed as they are now for so "
        "long: a batch that is still arriving is exported once, at its end.",
    )
