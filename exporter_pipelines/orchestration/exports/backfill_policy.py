"""How a backfill becomes runs: the policy that all partitioned assets of this project share.

Assets of one backfill share its runs only if their policies are equal.
https://docs.dagster.io/guides/build/partitions-and-backfills/backfilling-data
"""

from __future__ import annotations

import sys

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.orchestration.dagster_internals.served_definitions import are_served


def backfill_policy() -> dg.BackfillPolicy:
    """One run for all days, or runs of EXPORTER_BACKFILL_DAYS_PER_RUN days.

    Only backfills of the web server and the daemon are split. A range on the command line is one
    run: Dagster's command refuses every other policy, and `exporter export` splits ranges itself.

    Raises:
        ConfigurationError: the setting is not a usable number.
    """
    days = settings.backfill_days_per_run() if are_served(sys.argv) else None
    return dg.BackfillPolicy.multi_run(days) if days else dg.BackfillPolicy.single_run()
