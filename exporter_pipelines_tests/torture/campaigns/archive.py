"""Random lives of a backend and its archive: purges, wrong databases, restores, clocks, kills.

After each event, no row may be gone beyond the limits without a held day or an acceptance, every
loss must be found by `exporter verify`, and nothing else may be held or found.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import dagster as dg

from exporter_pipelines.contracts import ledger
from exporter_pipelines.engine.kept_days import keep_days
from exporter_pipelines.engine.prune import apply_prune, plan_prune
from exporter_pipelines.orchestration.upkeep import late_data
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import IPS, LOGS, Backend
from exporter_pipelines_tests.support.datasets import databases, dataset, outcome_of
from exporter_pipelines_tests.support.processes import FORKS, export_and_die
from exporter_pipelines_tests.support.runs import Runner
from exporter_pipelines_tests.torture.archive_model import DAYS, ROWS, TODAY, Archive
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.ARCHIVE

SEQUENCES, EVENTS, THROUGH_DAGSTER = 500, 8, 20
_RETENTION = {"keep_days": 4, "keep_at_least": 1}
_LATE = {"policy": "re-export", "lookback_days": 8, "settle_minutes": 0}


def run(trial: Trial) -> None:
    """500 sequences of 8 events, every 25th through Dagster, and ordinary lives without a hold."""
    os.environ |= {
        "EXPORTER_TIMEZONE": "UTC",
        "EXPORTER_START_DATE": DAYS[0],
        "EXPORTER_END_DATE": str(TODAY),
    }
    trial.figures["events"] = 0
    with trial.database() as backend, trial.database() as other:
        _ordinary_month(trial, backend)
        other.run(LOGS)
        for number, day in enumerate(DAYS):
            # The same keys on other days, and other keys.
            other.add_logs(day, 2 * ROWS, first_id=20_000 + number * 1_000)
            other.add_logs(day, ROWS, first_id=1 + (len(DAYS) - 1 - number) * ROWS)
        for number in trial.rounds(SEQUENCES, "sequences"):
            backend.run("DROP TABLE IF EXISTS logs")
            backend.run(LOGS)
            _Sequence(trial, backend, other, number).play()


def _ordinary_month(trial: Trial, backend: Backend) -> None:
    """30 days of `ips`: addresses move to their newest day, and the last week is exported again."""
    backend.run(IPS)
    store = LocalStore(trial.folder / "month" / "exports")
    ips = dataset("ips")
    month = [str(dt.date(2026, 11, 1) + dt.timedelta(days=number)) for number in range(30)]
    for number, day in enumerate(month):
        backend.run(
            "UPDATE ip_addresses SET last_seen = %s::timestamptz + id * interval '1 s' "
            "WHERE random() < 0.3",
            [f"{day}T06:00Z"],
        )
        backend.run(
            "INSERT INTO ip_addresses SELECT n, '10.0.0.0'::inet + n, %s::timestamptz, %s, 5, "
            "'DE', '{}' FROM generate_series(%s::int, %s::int) n",
            [f"{day}T01:00Z", f"{day}T01:00Z", 1 + 40 * number, 40 * number + 40],
        )
        for again in month[max(0, number - 7) : number + 1]:
            outcome = outcome_of(backend.url, ips, again, store)
            trial.check(outcome.manifest is not None, f"{again} held on {day}: {outcome.reasons}",
                        part="an ordinary month")  # fmt: skip


class _Sequence:
    """One random life."""

    def __init__(self, trial: Trial, backend: Backend, other: Backend, number: int) -> None:
        self.trial, self.other, self.number, self.dice = trial, other, number, trial.dice
        root = trial.folder / f"sequence-{number}" / "exports"
        os.environ["EXPORTER_OUTPUT_URL"] = str(root)
        self.archive = Archive(backend, LocalStore(root), trial.dice)
        self.is_dagster = number % (SEQUENCES // THROUGH_DAGSTER) == 0
        self.hours = 0.0

    @property
    def store(self) -> LocalStore:
        return self.archive.store

    def play(self) -> None:
        for day in DAYS:
            self.archive.add(day, ROWS)
        self._export(DAYS, "first export")
        events: list[tuple[Callable[[], None], int]] = [
            (self.grows, 2), (self.purged_a_little, 3), (self.purged_a_lot, 3), (self.truncated, 1),
            (self.moved, 3), (self.ran_again, 1), (self.wrong_database, 2), (self.late, 2),
            (self.deleted, 2), (self.backed_up, 2), (self.restored, 2), (self.wrong_clock, 1),
            (self.pruned, 2), (self.killed, 3), (self.exported, 4), (self.kept, 2),
            (self.accepted, 1), (self.filtered, 1),
        ]  # fmt: skip
        acts, weights = zip(*events, strict=True)
        for act in self.dice.choices(acts, weights, k=EVENTS):
            self.archive.history.append(act.__name__)
            with self._clock():
                act()
            self._verify(act.__name__)
            self.trial.figures["events"] = int(str(self.trial.figures["events"])) + 1

    # What happens to the source

    def grows(self) -> None:
        self.archive.add(self._day(), self.dice.randint(1, 10))

    def purged_a_little(self) -> None:
        self._delete(self.dice.randint(1, 8))

    def purged_a_lot(self) -> None:
        self._delete(self.dice.randint(9, ROWS))

    def truncated(self) -> None:
        if self.dice.random() < 0.5:
            self.archive.backend.run("TRUNCATE logs")

    def moved(self) -> None:
        """As in `ips`, where each address moves to its newest day."""
        ids = self.archive.some_ids(self._day(), self.dice.randint(1, ROWS))
        shift = dt.timedelta(days=self.dice.choice([-1, 1, 2, 30]))
        self.archive.backend.run(
            "UPDATE logs SET timestamp = timestamp + %s WHERE id = ANY(%s)", [shift, ids]
        )

    def ran_again(self) -> None:
        """A detector: all rows of a day get new keys."""
        day, archive = self._day(), self.archive
        ids = archive.some_ids(day, 10_000)
        archive.backend.run("DELETE FROM logs WHERE id = ANY(%s)", [ids])
        if ids:
            archive.add(day, len(ids))

    def _delete(self, count: int) -> None:
        ids = self.archive.some_ids(self._day(), count)
        self.archive.backend.run("DELETE FROM logs WHERE id = ANY(%s)", [ids])

    # What operators and schedules do

    def exported(self) -> None:
        first = self.dice.randrange(len(DAYS))
        self._export(DAYS[first : first + self.dice.randint(1, 6)], "export")

    def accepted(self) -> None:
        self._export([self._day()], "accepted", accept=True)

    def filtered(self) -> None:
        """A new filter leaves rows out; they are in the source as before."""
        odd = {"name": "odd", "column": "id", "op": "gt", "value": self.dice.randint(1, 200)}
        day, before = self._day(), self._source()
        outcome = outcome_of(self._url, dataset(filters=[odd]), day, self.store)
        held = outcome.manifest is None
        if held:
            wrongly = self.archive.wrongly_held(day, source=before)
            self._check(not wrongly, f"a filter held {day}: {outcome.reasons}")
        self.archive.days[day].ids = self.archive.published(day)
        if not held and not outcome.kept:
            known = self.archive.days[day]
            known.tampered = ""
            # The model does not know the rows that the filter left out, so it starts again.
            self._export([day], "after a filter", accept=True)

    def wrong_database(self) -> None:
        """The URL names another database for one export."""
        days = [self._day()]
        before = {day: self.archive.published(day) for day in days}
        for day in days:
            outcome = outcome_of(self.other.url, dataset(), day, self.store)
            if before[day] is None:  # not published: nothing to lose, unless the ledger has it
                self.archive.days[day].ids = self.archive.published(day)
                if outcome.manifest:
                    self.archive.days[day].tampered = ""
                    self._export([day], "back to the right database", accept=True)
                continue
            same = self.archive.published(day) == before[day]
            self._check(same, f"{day} was replaced from another database")

    def kept(self) -> None:
        held = [
            day
            for day in DAYS
            if self.archive.published(day) is not None and not self.archive.days[day].tampered
        ]
        for day in held:
            keep_days(self.store, "logs", [day])

    def late(self) -> None:
        """The sensor compares the last days, and requests runs."""
        follow = self.dice.choice(["report", "follow"])
        logs = dataset(late_data={**_LATE, "deletes": follow})
        late_data.exported_names = lambda: ["logs"]  # type: ignore[assignment]
        late_data.dataset_named = lambda _name: logs  # type: ignore[assignment]
        os.environ["EXPORTER_SOURCE_URL"] = self._url
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(instance=instance)
            result = late_data.late_data_sensor(context)
        assert isinstance(result, dg.SensorResult)
        self._export([r.partition_key or "" for r in result.run_requests or ()], "late data")

    def pruned(self) -> None:
        """By retention, within its limits; each removed day is past its time."""
        now = dt.datetime.now(dt.UTC) + dt.timedelta(hours=self.hours)
        config = dataset(retention=_RETENTION)
        plan = plan_prune(self.store, config, now.date(), now)
        before = {day: self.archive.published(day) for day in DAYS}
        if plan.refused:
            return
        list(apply_prune(self.store, plan))
        removed = [d for d in DAYS if before[d] is not None and self.archive.published(d) is None]
        self._check(len(removed) <= 7, f"prune removed {removed}")
        first_kept = str(now.date() - dt.timedelta(days=_RETENTION["keep_days"] - 1))
        self._check(all(day < first_kept for day in removed), f"prune removed {removed} at {now}")
        for day in removed:
            self.archive.days[day].ids, self.archive.days[day].tampered = None, ""

    def wrong_clock(self) -> None:
        """From now on the clock is days or years away, until it is set again."""
        self.hours = 0.0 if self.hours else self.dice.choice([-48.0, 24 * 40, 24 * 365 * 11])

    def killed(self) -> None:
        """A run dies anywhere; the ledger agrees with what is published at once."""
        day, step, source = self._day(), self.dice.randint(1, 120), self._source()
        process = FORKS.Process(target=export_and_die, args=(self._url, self.store.root, day, step))
        process.start()
        process.join(60)
        self._judge([day], "kill", source=source, accepted=False)

    # What happens to the disk

    def deleted(self) -> None:
        self.archive.delete(self._day())

    def backed_up(self) -> None:
        self.archive.back_up(self._day())

    def restored(self) -> None:
        self.archive.restore(self._day())

    # Judging

    @property
    def _url(self) -> str:
        return self.archive.backend.url

    def _day(self) -> str:
        return self.dice.choice(DAYS)

    def _source(self) -> dict[int, str]:
        return self.archive.source_ids()

    def _export(self, days: list[str], why: str, *, accept: bool = False) -> None:
        source = self._source()
        held: dict[str, list[str]] = {}
        if self.is_dagster and days:
            days = DAYS[DAYS.index(min(days)) : DAYS.index(max(days)) + 1]
            self._run(days, accept=accept)
        else:
            with databases(self._url) as session:
                for day in days:
                    outcome = outcome_of(
                        self._url, dataset(), day, self.store, session=session, accept_loss=accept
                    )
                    if outcome.manifest is None:
                        held[day] = list(outcome.reasons)
        for day, reasons in held.items():
            wrongly = self.archive.wrongly_held(day, source=source)
            self._check(not wrongly, f"{why} held {day}: {reasons}")
        self._judge(days, why, source=source, accepted=accept)

    def _run(self, days: list[str], *, accept: bool) -> None:
        """Export days through Dagster."""
        os.environ["EXPORTER_SOURCE_URL"] = self._url
        config = {"ops": {"logs": {"config": {"accept_loss_days": days if accept else []}}}}
        with dg.DagsterInstance.ephemeral() as instance:
            runner = Runner([dataset()], instance=instance)
            last = days[-1] if len(days) > 1 else ""
            runner.run("logs", days[0], last, run_config=config)

    def _judge(self, days: list[str], why: str, *, source: dict[int, str], accepted: bool) -> None:
        for day in days:
            wrong = self.archive.loss(day, accepted=accepted, source=source)
            self._check(not wrong, f"{why} of {day}: {wrong}")
            # An export that gives the same rows repairs a restored or missing day as well.
            if not self.archive.days[day].tampered:
                continue
            record = self.archive.findings().get(day)
            if record is None:
                self.archive.days[day].tampered = ""

    def _verify(self, why: str) -> None:
        found, expected = self.archive.findings(), self.archive.expected_findings()
        self._check(found == expected, f"after {why}: found {found}, expected {expected}")

    def _check(self, good: bool, what: str) -> None:
        story = ", ".join(self.archive.history)
        self.trial.check(good, f"sequence {self.number} ({story}): {what}")

    @contextmanager
    def _clock(self) -> Iterator[None]:
        """The clock of the ledger, for this process; a killed child has the right one."""
        real, ahead = dt.datetime, dt.timedelta(hours=self.hours)
        shifted = SimpleNamespace(
            datetime=SimpleNamespace(now=lambda zone: real.now(zone) + ahead), UTC=dt.UTC
        )
        original, ledger.dt = ledger.dt, shifted  # type: ignore[assignment]
        try:
            yield
        finally:
            ledger.dt = original
