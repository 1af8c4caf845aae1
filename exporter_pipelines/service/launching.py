"""Starts and cancels Dagster runs through Dagster's own GraphQL, with the rights of one user.

Belongs here: the documents and their answers. Does not belong here: which days are exported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter_pipelines.orchestration.dagster_internals.deferred_plans import DEFERRED
from exporter_pipelines.orchestration.dagster_internals.web_server import UserWebserver, WebUser
from exporter_pipelines.service.problems import Problem
from exporter_pipelines.service.run_plan import PARTITION, RANGE_END, RANGE_START

_FIND = """
query Find($keys: [AssetKeyInput!]) {
  assetNodes(assetKeys: $keys) {
    assetKey { path }
    jobNames
    repository { name location { name } }
  }
}"""
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on UnauthorizedError { message }
    ... on PythonError { message }
  }
}"""
_TERMINATE = """
mutation Terminate($runs: [String!]!) {
  terminateRuns(runIds: $runs, terminatePolicy: SAFE_TERMINATE) {
    __typename
    ... on TerminateRunsResult {
      terminateRunResults {
        __typename
        ... on TerminateRunFailure { message run { runId } }
        ... on UnauthorizedError { message }
        ... on PythonError { message }
      }
    }
    ... on PythonError { message }
  }
}"""
_CANCEL_BACKFILL = """
mutation Cancel($backfill: String!) {
  cancelPartitionBackfill(backfillId: $backfill) {
    __typename
    ... on UnauthorizedError { message }
    ... on PythonError { message }
  }
}"""


@dataclass(frozen=True)
class Place:
    """Where the code location defines an asset.

    Attributes:
        location, repository, job: Their names; the job can run any selection of assets.
    """

    location: str
    repository: str
    job: str


@dataclass(frozen=True)
class Part:
    """What one run exports: days of one dataset, in order.

    Attributes:
        dataset: Its name.
        days: At least one; they need not be consecutive.
        config: Run config of the asset.
    """

    dataset: str
    days: Sequence[str]
    config: Mapping[str, Any]


class Launcher:
    """Asks Dagster to start or cancel runs.

    Args:
        ui: Runs GraphQL.
        user: Whose rights apply; the tags are added to what is started.
    """

    def __init__(self, ui: UserWebserver, user: WebUser) -> None:
        self._ui, self._user = ui, user

    def places(self, datasets: Sequence[str]) -> dict[str, Place]:
        """Dataset -> where it is defined.

        Raises:
            Problem: 503 if the code location does not have one of them.
        """
        found = {}
        for node in self._ask(_FIND, keys=[{"path": [name]} for name in datasets])["assetNodes"]:
            repository = node["repository"]
            jobs = [name for name in node["jobNames"] if name.startswith("__ASSET_JOB")]
            if jobs:
                found[node["assetKey"]["path"][0]] = Place(
                    repository["location"]["name"], repository["name"], jobs[0]
                )
        if missing := [name for name in datasets if name not in found]:
            raise Problem(
                503,
                f"Dagster has not loaded {', '.join(missing)}. Reload the code location on the "
                "page Deployment of the Dagster UI, which shows why it cannot be loaded.",
                anchor="the-code-location-failed-to-load",
            )
        return found

    def launch(self, part: Part, place: Place, tags: Mapping[str, str]) -> str:
        """Start a run and return its id.

        Raises:
            Problem: 403 if the user may not; 503 if Dagster cannot start it.
        """
        config = dict(part.config)
        days = {PARTITION: part.days[0]}
        if len(part.days) > 1:
            # Dagster would store an event per day before the answer, see `deferred_plans`.
            days = {RANGE_START: part.days[0], RANGE_END: part.days[-1], **DEFERRED}
        run_config = {"ops": {part.dataset: {"config": config}}} if config else {}
        return self._launch(part.dataset, place, {**tags, **days}, run_config)

    def launch_asset(self, name: str, place: Place, tags: Mapping[str, str]) -> str:
        """Start a run of an asset without partitions, and return its id; raises as `launch`."""
        return self._launch(name, place, tags, {})

    def _launch(
        self, name: str, place: Place, tags: Mapping[str, str], run_config: Mapping[str, Any]
    ) -> str:
        params = {
            "selector": {
                "repositoryLocationName": place.location,
                "repositoryName": place.repository,
                "pipelineName": place.job,
                "assetSelection": [{"path": [name]}],
            },
            "runConfigData": run_config,
            "mode": "default",
            "executionMetadata": {
                "tags": [{"key": key, "value": value} for key, value in tags.items()]
            },
        }
        answer = self._ask(_LAUNCH, params=params)["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise _refused(answer, f"The run of {name} could not be started")
        return str(answer["run"]["runId"])

    def submit(self, run_id: str) -> None:
        """Put a run into the queue that was created and not submitted."""
        self._ui.submit(self._user, run_id)

    def terminate(self, runs: Sequence[str]) -> dict[str, str]:
        """Cancel runs.

        Returns:
            Run -> why it could not be cancelled; empty if all were.

        Raises:
            Problem: 403 if the user may not.
        """
        if not runs:
            return {}
        answer = self._ask(_TERMINATE, runs=list(runs))["terminateRuns"]
        failures = {}
        for each in answer.get("terminateRunResults", [answer]):
            if each["__typename"] == "TerminateRunFailure":
                failures[each["run"]["runId"]] = each["message"]
            elif each["__typename"] not in ("TerminateRunSuccess", "RunNotFoundError"):
                raise _refused(each, "The export could not be cancelled")
        return failures

    def cancel_backfill(self, backfill: str) -> None:
        """Cancel a backfill, which then starts no further run.

        Raises:
            Problem: 403 if the user may not.
        """
        answer = self._ask(_CANCEL_BACKFILL, backfill=backfill)["cancelPartitionBackfill"]
        if answer["__typename"] != "CancelBackfillSuccess":
            raise _refused(answer, "The backfill could not be cancelled")

    def _ask(self, document: str, **variables: Any) -> dict[str, Any]:
        answer = self._ui.graphql(self._user, document, variables)
        if answer.get("errors"):
            raise Problem(503, f"Dagster did not answer: {answer['errors'][0]['message']}")
        data: dict[str, Any] = answer["data"]
        return data


def _refused(answer: Mapping[str, Any], what: str) -> Problem:
    if answer["__typename"] == "UnauthorizedError":
        return Problem(403, f"{what}: Dagster does not allow it.", anchor="a-role-is-missing")
    errors = answer.get("errors") or [answer]
    message = str(errors[0].get("message") or answer["__typename"]).partition("\n")[0]
    return Problem(503, f"{what}. Dagster says: {message}")
