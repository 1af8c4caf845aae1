"""Days with different pseudonyms are refused if groups or joins compare them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from exporter_pipelines import api
from exporter_pipelines.cli.train_set import train_set
from exporter_pipelines.defs_files import definitions
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.orchestration.training.asset import training_set_asset
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.training.identity_spaces import DifferentPseudonymsError
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.private_days import KEY, KEY_NAME, OTHER_KEY
from exporter_pipelines_tests.support.training import DAYS, HELD, ROWS, build, config, fill

EARLY, LATE = DAYS[:3], DAYS[4:]
POLICY: dict[str, Any] = {
    "columns": {
        "device": {"action": "pseudonym", "kind": "host"},
        "ip": {"action": "pseudonym", "kind": "ip"},
        "message": {"action": "scan"},
    },
    "keep": ["id", "level", "source", "attributes"],
}
OF_ANOMALIES: dict[str, Any] = {
    "columns": {"ip": {"action": "pseudonym", "kind": "ip"}},
    "keep": ["id", "type", "severity", "status", "log_id", "details"],
}
LENIENT = {"min_positives": 0, "max_overlap_pct": 100}
BY_IP = [{"dataset": "anomalies", "by": {"ip": "ip"}, "within": "5m"}]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("identity") / "app.db"
    fill(path)
    return f"sqlite:///{path}"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    monkeypatch.setenv(KEY_NAME, KEY)
    return LocalStore(tmp_path / "exports")


def _publish(source: str, store: LocalStore, epochs: Mapping[str, str | None]) -> None:
    """The logs of some days under a policy, each with its epoch or none; anomalies without."""
    for day, epoch in epochs.items():
        privacy = {"privacy": {**POLICY, "epoch": epoch}} if epoch else {}
        export(source, dataset("logs", **privacy), day, store)
        export(source, dataset("anomalies", nullable=["details"]), day, store)


@pytest.fixture
def two_epochs(source: str, store: LocalStore) -> LocalStore:
    """Days before and after a change of the epoch, from `a` to `b`."""
    _publish(source, store, dict.fromkeys(EARLY, "a") | dict.fromkeys(LATE, "b"))
    return store


def test_groups_over_two_epochs_are_refused_with_the_days_of_each(two_epochs: LocalStore) -> None:
    with pytest.raises(DifferentPseudonymsError) as refused:
        build(config(ROWS), two_epochs)
    message = str(refused.value)
    assert "split.groups compares 'device'" in message
    assert f"epoch a, scope shared: logs {EARLY[0]} to {EARLY[-1]}" in message
    assert f"epoch b, scope shared: logs {LATE[0]} to {LATE[-1]}" in message
    assert KEY not in message
    assert not list(two_epochs.root.glob("training_sets/rows/v-*"))


def test_a_set_that_compares_no_pseudonym_may_span_epochs(two_epochs: LocalStore) -> None:
    built = build(config(ROWS, split={"gap": "1h"}, checks=LENIENT), two_epochs)
    [check] = [each for each in built.manifest.checks if each.check == "one_identity_space"]
    assert check.passed
    assert check.sentence == "3 sets of pseudonyms, but groups and joins do not compare them."
    assert "epoch a" in (built.folder / "README.md").read_text()


def test_days_of_one_epoch_are_built(two_epochs: LocalStore) -> None:
    late = {"first": LATE[0], "last": LATE[-1]}
    build(config(ROWS, days=late, checks=LENIENT), two_epochs)


def test_a_join_of_pseudonyms_with_raw_values_is_refused(source: str, store: LocalStore) -> None:
    _publish(source, store, dict.fromkeys(EARLY, "a"))
    with pytest.raises(DifferentPseudonymsError, match=r"labels\[0\]\.by compares 'ip'") as refused:
        build(config(ROWS, labels=BY_IP), store)
    assert f"no privacy policy: anomalies {EARLY[0]} to {EARLY[-1]}" in str(refused.value)


def test_a_join_of_two_keys_is_refused_and_of_one_is_built(
    source: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _publish(source, store, dict.fromkeys(EARLY, "a"))
    private = dataset("anomalies", nullable=["details"], privacy={**OF_ANOMALIES, "epoch": "a"})
    settings = config(ROWS, labels=BY_IP, checks=LENIENT)
    monkeypatch.setenv(KEY_NAME, OTHER_KEY)
    for day in EARLY:
        export(source, private, day, store)
    with pytest.raises(DifferentPseudonymsError, match=r"labels\[0\]\.by"):
        build(settings, store)
    monkeypatch.setenv(KEY_NAME, KEY)
    for day in EARLY:
        export(source, private, day, store)
    assert sum(build(settings, store).manifest.labels.values()) > 0


def test_the_asset_the_command_and_the_api_say_so(
    two_epochs: LocalStore,
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    from click.testing import CliRunner

    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(two_epochs.root))
    sets = tmp_path / "defs"
    (sets / "rows").mkdir(parents=True)
    document = {"type": "exporter_pipelines.components.TrainingSet", "attributes": None}
    document["attributes"] = yaml.safe_load(ROWS)
    for name in ("logs", "anomalies"):
        (sets / name).symlink_to(definitions.DEFS / name)
    (sets / "rows" / "defs.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.setattr(definitions, "DEFS", sets)

    with pytest.raises(DifferentPseudonymsError):
        api.build_training_set("rows")
    built = CliRunner().invoke(train_set, ["rows"])
    assert built.exit_code == 1
    assert f"epoch b, scope shared: logs {LATE[0]} to {LATE[-1]}" in built.output
    assert "Traceback" not in built.output
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [training_set_asset(config(ROWS))],
            resources={"exports": ExportIOManager()},
            instance=instance,
            raise_on_error=False,
        )
    assert not done.success
    [failed] = done.get_step_failure_events()
    assert "split.groups compares 'device'" in str(failed.step_failure_data.error)
    assert HELD not in str(failed.step_failure_data.error)
