"""Metrics for Prometheus, computed from Dagster's history and the output folder when asked.

So they count exports of the UI, of schedules and of commands too, and a restart resets nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator

import dagster as dg
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector
from starlette.requests import HTTPConnection

from exporter_pipelines.orchestration.dagster_internals.health import daemons
from exporter_pipelines.orchestration.exports.output_runs import OutputRuns
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.run_totals import DatasetTotals, RunTotals

_RUN_STATES = {
    "queued": dg.DagsterRunStatus.QUEUED,
    "starting": dg.DagsterRunStatus.STARTING,
    "running": dg.DagsterRunStatus.STARTED,
    "canceling": dg.DagsterRunStatus.CANCELING,
}


class ServiceCollector(Collector):
    """The metrics of the service.

    Args:
        context: Of the service.
        output: Knows the runs that count.
    """

    def __init__(self, context: ServiceContext, output: OutputRuns) -> None:
        self._context, self._totals = context, RunTotals(context.instance, output)

    def collect(self) -> Iterator[Metric]:
        """All metrics as they are now. Blocks."""
        totals = self._totals.by_dataset()
        yield from _counters(totals)
        yield from _gauges(totals)
        yield from self._output(totals)
        yield from self._dagster()
        yield _counter(
            "exporter_http_requests", "Requests by route and status.", ("route", "code"),
            dict(self._context.answered).items(),
        )  # fmt: skip
        if access := self._context.access:
            yield _counter(
                "exporter_http_refused", "Requests that the guard refused, by reason.", ("why",),
                [((why,), number) for why, number in dict(access.audit.refused).items()],
            )  # fmt: skip

    def describe(self) -> Iterator[Metric]:
        """Nothing: the registry would otherwise collect everything once more."""
        return iter(())

    def _output(self, totals: Iterable[str]) -> Iterator[Metric]:
        newest = GaugeMetricFamily(
            "exporter_last_published_day_timestamp_seconds",
            "Midnight (UTC) of the newest published day.",
            labels=["dataset"],
        )
        for dataset in sorted({*totals, *self._context.definitions.exported_names()}):
            if days := self._context.store.published_days(dataset):
                moment = dt.datetime.fromisoformat(days[-1]).replace(tzinfo=dt.UTC)
                newest.add_metric([dataset], moment.timestamp())
        yield newest
        if (free := self._context.store.free_bytes()) is not None:
            yield GaugeMetricFamily(
                "exporter_output_free_bytes",
                "Free space on the disk of the output folder.",
                value=free,
            )

    def _dagster(self) -> Iterator[Metric]:
        runs = GaugeMetricFamily("exporter_runs", "Runs by state.", labels=["state"])
        for state, status in _RUN_STATES.items():
            runs.add_metric(
                [state], self._context.instance.get_runs_count(dg.RunsFilter(statuses=[status]))
            )
        yield runs
        up = GaugeMetricFamily(
            "exporter_daemon_up", "Whether a daemon of Dagster has run lately.", labels=["daemon"]
        )
        for name, healthy in daemons(self._context.instance).items():
            up.add_metric([name.lower()], int(healthy))
        yield up


def _counters(totals: dict[str, DatasetTotals]) -> Iterator[Metric]:
    def by_two(name: str, text: str, label: str, field: str) -> Metric:
        values = {
            (dataset, key): number
            for dataset, found in totals.items()
            for key, number in getattr(found, field).items()
        }
        return _counter(name, text, ("dataset", label), values.items())

    yield by_two("exporter_exports", "Datasets of ended runs, by status.", "status", "exports")
    yield by_two("exporter_days", "Days of ended runs, by status.", "status", "days")
    yield by_two("exporter_rows", "Rows of published days.", "kind", "rows")
    yield _counter(
        "exporter_bytes", "Bytes of published days.", ("dataset",),
        [((dataset,), found.bytes) for dataset, found in totals.items()],
    )  # fmt: skip
    durations = SummaryMetricFamily(
        "exporter_day_duration_seconds", "Seconds that published days took.", labels=["dataset"]
    )
    for dataset, found in sorted(totals.items()):
        durations.add_metric([dataset], found.days["published"], found.seconds)
    yield durations


def _gauges(totals: dict[str, DatasetTotals]) -> Iterator[Metric]:
    for name, text, field in (
        ("exporter_last_success_timestamp_seconds",
         "End of the newest run that published all its days.", "last_success"),
        ("exporter_valid_ratio", "Rows that were not rejected, of the newest run.", "valid_ratio"),
        ("exporter_completeness_ratio", "Values that are not null, of the newest run.",
         "completeness_ratio"),
    ):  # fmt: skip
        gauge = GaugeMetricFamily(name, text, labels=["dataset"])
        for dataset, found in sorted(totals.items()):
            if (value := getattr(found, field)) is not None:
                gauge.add_metric([dataset], value)
        yield gauge


def _counter(
    name: str,
    text: str,
    labels: tuple[str, ...],
    values: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    family = CounterMetricFamily(name, text, labels=list(labels))
    for key, number in sorted(values):
        family.add_metric(list(key), number)
    return family


def registry_of(context: ServiceContext, output: OutputRuns) -> CollectorRegistry:
    """A registry with the metrics of a service, and not those of the whole process."""
    registry = CollectorRegistry()
    registry.register(ServiceCollector(context, output))
    return registry


def collector_of(connection: HTTPConnection) -> CollectorRegistry:
    """The registry of the service that received a request."""
    registry: CollectorRegistry = connection.app.state.prometheus
    return registry
