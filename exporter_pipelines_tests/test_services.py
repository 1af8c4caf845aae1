"""The systemd units in deploy/: what ends a service, and that systemd can read them."""

from __future__ import annotations

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from exporter_pipelines.orchestration.dagster_internals.code_server import KEEP_BACKFILLS
from exporter_pipelines.process_memory import prefer_for_oom_kill
from exporter_pipelines_tests.support.projects import BIN, ROOT

UNITS = sorted((ROOT / "deploy").glob("*.service"))


def sections(unit: Path) -> ConfigParser:
    """A unit in which no key occurs twice, as in these."""
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit.read_text())
    return parser


def test_both_services_have_a_unit() -> None:
    assert [unit.stem for unit in UNITS] == ["exporter-daemon", "exporter-webserver"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_killed_process_does_not_end_a_service(unit: Path) -> None:
    service = sections(unit)["Service"]
    assert service["OOMPolicy"] == "continue"
    assert service["Restart"] == "always"
    assert int(service["RestartSec"]) > 0
    assert sections(unit)["Unit"]["StartLimitIntervalSec"] == "0"


def test_the_daemon_lets_backfills_wait_for_the_code_server() -> None:
    assert sections(ROOT / "deploy" / "exporter-daemon.service")["Service"]["Environment"] == (
        KEEP_BACKFILLS
    )


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_accepts_a_unit(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/exporter_pipelines/.venv/bin", str(BIN)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert [line for line in done.stderr.splitlines() if unit.name in line] == []


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="Linux only")
def test_the_kernel_ends_a_run_before_the_daemon() -> None:
    done = subprocess.run(
        [
            BIN / "python",
            "-c",
            f"from {prefer_for_oom_kill.__module__} import prefer_for_oom_kill as prefer; prefer();"
            "print(open('/proc/self/oom_score_adj').read())",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert int(done.stdout) >= 500
