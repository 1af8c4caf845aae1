"""Runs campaigns one after another: all of them, or those that are named.

    make torture
    make torture ARGS="kills stalls"
    TORTURE_SECONDS=10 make torture

Prints a line of figures per campaign and promise, writes `build/torture.json`, and ends with 1 when
a promise broke. `--table` prints the last results as a table.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from exporter_pipelines_tests.support.projects import ROOT
from exporter_pipelines_tests.torture import alone, campaigns
from exporter_pipelines_tests.torture.promises import Promise

RESULTS = "torture.json"

_SECONDS = 150
"""Most seconds of a campaign unless TORTURE_SECONDS says otherwise. On two quiet cores each reaches
its figure in half of them."""

_GRACE_S = 180
"""A campaign that goes on for so long after its time hangs: its process is ended, which is bad."""


def main() -> int:
    """The exit code: 0 when no promise broke."""
    arguments = _arguments()
    results = arguments.build / RESULTS
    if arguments.table:
        print(table(json.loads(results.read_text())))
        return 0
    arguments.build.mkdir(exist_ok=True)
    began, records = time.monotonic(), []
    for name in arguments.campaigns or campaign_names():
        report = _run(name, arguments.seed, arguments.build)
        _print(name, report)
        records += report["records"]
        results.write_text(json.dumps(records, indent=2) + "\n")
    bad, points = (sum(record[key] for record in records) for key in ("bad", "points"))
    minutes = (time.monotonic() - began) / 60
    print(f"\n{points:,} points, {bad:,} bad, in {minutes:.1f} minutes; see {results}")
    return 1 if bad else 0


def campaign_names() -> list[str]:
    """All campaigns, in the order of their promises."""
    order = list(Promise)
    names = [module.name for module in pkgutil.iter_modules(campaigns.__path__)]
    return sorted(names, key=lambda name: (order.index(_promise(name)), name))


def table(records: list[dict[str, Any]]) -> str:
    """Results as a table, whose sums are in docs/figures.md."""
    lines = ["| promise | campaign | points | bad |", "|---|---|---|---|"]
    for r in records:
        lines.append(f"| {r['promise']} | `{r['campaign']}` | {r['points']:,} | {r['bad']:,} |")
    return "\n".join(lines)


def _promise(name: str) -> Promise:
    return Promise(pkgutil.resolve_name(f"{campaigns.__name__}.{name}").PROMISE)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="torture", description=__doc__.split("\n")[0])
    known = [module.name for module in pkgutil.iter_modules(campaigns.__path__)]
    parser.add_argument("campaigns", nargs="*", metavar="campaign", help=", ".join(known))
    parser.add_argument("--seed", type=int, default=20261101, help="of the dice (%(default)s)")
    parser.add_argument("--table", action="store_true", help="print the last results as Markdown")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="folder of results")
    arguments = parser.parse_args()
    for name in arguments.campaigns:
        if name not in known:
            parser.error(f"there is no campaign {name!r} (there are: {', '.join(known)})")
    return arguments


def _run(name: str, seed: int, build: Path) -> dict[str, Any]:
    """A campaign's report; a campaign that died or hung reports one bad point."""
    seconds = float(os.environ.get("TORTURE_SECONDS") or _SECONDS)
    result, log = build / f"torture-{name}.json", build / f"torture-{name}.log"
    result.unlink(missing_ok=True)
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", alone.__name__, name, str(seed), str(seconds), str(result)],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        ended = _wait(process, seconds + _GRACE_S)
    if ended == 0:
        report: dict[str, Any] = json.loads(result.read_text())
        log.unlink()
        result.unlink()
    else:
        why = "hung and was ended" if ended is None else f"ended with code {ended}"
        broken = {"promise": _promise(name), "campaign": name, "points": 1, "bad": 1}
        report = {"records": [broken], "details": [f"the campaign {why}, see {log}"]}
    return {**report, "seconds": time.monotonic() - began}


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Its exit code, or None when it had to be ended; none of its processes is left."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGUSR1)  # its threads' stacks go to the log
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _print(name: str, report: dict[str, Any]) -> None:
    figures = [f"{key} {value}" for key, value in report.get("figures", {}).items()]
    for record in report["records"]:
        verdict = "BROKEN" if record["bad"] else "held"
        print(
            f"{verdict:7}{record['promise']}: {record['campaign']}: "
            f"{record['points']:,} points, {record['bad']:,} bad"
        )
    if report.get("skipped"):
        print(f"SKIPPED {_promise(name)}: {name}: {report['skipped']}")
    more = [*figures, *(f"the time sufficed for {short}" for short in report.get("short", []))]
    print("       " + ", ".join([*more, f"{report['seconds']:.0f} s"]))
    for detail in report.get("details", []):
        print(f"       - {detail}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
