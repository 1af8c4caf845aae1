"""The answer about an export of many days is bounded, and nothing of it is lost."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import dagster as dg
import pytest

from exporter_pipelines.cli.export_lines import print_export
from exporter_pipelines.cli.export_results import results_of
from exporter_pipelines.service.exports import Exports
from exporter_pipelines.service.models import Export
from exporter_pipelines_tests.support.api_clients import library_client
from exporter_pipelines_tests.support.in_process_service import InProcessService, in_process_service

FIRST, LAST, DAYS = "2026-05-04", "2026-10-02", 152


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessService]:
    folder = tmp_path_factory.mktemp("pages")
    with in_process_service(folder, "demo", code_location=False) as found:
        yield found


@pytest.fixture(scope="module")
def many(service: InProcessService) -> str:
    """An export of 152 days, none of which was published."""
    run_id = str(uuid.uuid4())
    run = dg.DagsterRun(
        "__ASSET_JOB",
        run_id,
        asset_selection=frozenset({dg.AssetKey("logs")}),
        status=dg.DagsterRunStatus.FAILURE,
        tags={
            "dagster/asset_partition_range_start": FIRST,
            "dagster/asset_partition_range_end": LAST,
        },
    )
    service.context.instance.add_run(run)
    return run_id


def test_an_answer_has_the_first_days_and_says_how_many_follow(
    service: InProcessService, many: str
) -> None:
    viewer, path = service.client("viewer"), f"/api/v1/exports/{many}"
    found = viewer.get(path).json()
    assert (len(found["results"]), found["more_results"]) == (100, 52)
    assert found["days"]["failed"] == DAYS
    assert len(found["errors"]) == 21
    assert found["errors"][-1].startswith("132 more days are not published: `exporter status ")
    rest = viewer.get(path, params={"limit": 1000, "offset": 100}).json()
    assert (len(rest["results"]), rest["more_results"]) == (52, 0)
    days = [each["day"] for each in found["results"] + rest["results"]]
    assert (len(set(days)), days[0], days[-1]) == (DAYS, FIRST, LAST)
    assert days == sorted(days)
    beyond = viewer.get(path, params={"limit": 0, "offset": 1_000}).json()
    assert (beyond["results"], beyond["more_results"]) == ([], 0)
    assert viewer.get(path, params={"limit": 10_001}).status_code == 422
    with viewer.stream("GET", f"{path}/events") as events:
        [text] = [line for line in events.iter_lines() if line.startswith("data: ")]
    assert Export.model_validate_json(text[6:]) == Export.model_validate(found)
    assert len(viewer.get(f"/export/status/{many}").json()["errors"]) == 21


def test_the_client_and_the_commands_have_every_day(
    service: InProcessService, many: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client = library_client(service.api, "viewer")
    export = client.get(many)
    for found in (export.last, export.status(), export.wait(), export.wait(lambda _: None)):
        assert found
        assert (len(found.results), found.more_results) == (DAYS, 0)
    assert export.last
    print_export(export.last, as_json=False)
    printed = capsys.readouterr().out
    assert "logs  0 of 152 days published, 152 failed" in printed.splitlines()
    assert f"logs {FIRST} to {LAST} (152 days): The run ended without this day" in printed


def test_a_command_without_every_day_says_so(service: InProcessService, many: str) -> None:
    export = Export.model_validate(
        service.client("viewer").get(f"/api/v1/exports/{many}").json()
    )  # fmt: skip
    assert f"52 more days: exporter status {many}" in list(results_of(export))


def test_the_service_itself_works_with_every_day(service: InProcessService, many: str) -> None:
    exports: Exports = service.api.state.exports
    assert (len(exports.get(many).results), len(exports.get(many).errors)) == (DAYS, DAYS)
