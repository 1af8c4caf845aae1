"""One campaign in a process of its own, so that none can hurt the others or the harness."""

from __future__ import annotations

import faulthandler
import json
import pkgutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from exporter_pipelines_tests.torture import campaigns
from exporter_pipelines_tests.torture.trial import SkippedError, Trial


def main(name: str, seed: str, seconds: str, result: str) -> None:
    """Run a campaign and write what came of it as JSON."""
    # An embedded server stops at the end of the process, which a plain SIGTERM would not give it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    campaign = pkgutil.resolve_name(f"{campaigns.__name__}.{name}")
    # Short: a Unix socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as folder:
        trial = Trial(int(seed), float(seconds), Path(folder))
        skipped = ""
        try:
            campaign.run(trial)
        except SkippedError as reason:
            skipped = str(reason)
        Path(result).write_text(json.dumps(_report(campaign.PROMISE, name, trial, skipped)))


def _report(promise: str, name: str, trial: Trial, skipped: str) -> dict[str, Any]:
    return {
        "records": [
            {
                "promise": promise,
                "campaign": f"{name}: {part}" if part else name,
                "points": count.points,
                "bad": count.bad,
            }
            for part, count in trial.counts.items()
        ],
        "figures": {key: str(value) for key, value in trial.figures.items()},
        "details": trial.details,
        "short": trial.short,
        "skipped": skipped,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
