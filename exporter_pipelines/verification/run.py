"""Selects the published days to verify, and sums up the results.

Belongs here: selecting datasets and days from the output folder and the definitions, adding up.
Does not belong here: checking one day (`verification.days`), or printing (`cli`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from exporter_pipelines import databases, output_folder, settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.progress import Meter
from exporter_pipelines.contracts.source import Session
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.engine.kept_days import source_keeps_no_longer
from exporter_pipelines.engine.retention import day_removed
from exporter_pipelines.errors import (
    ConfigurationError,
    DayNotPublishedError,
    ExporterError,
    UnknownNameError,
    printable,
)
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.opening import open_store
from exporter_pipelines.verification.days import verify_day, verify_folders
from exporter_pipelines.verification.ledger import missing_days, verify_begun, verify_recorded
from exporter_pipelines.verification.privacy import verify_privacy
from exporter_pipelines.verification.report import VerifyFinding, VerifyReport
from exporter_pipelines.verification.source import compare_day

OnBegin = Callable[[Meter], None]
"""Called before the first day, with the meter of all days."""


@dataclass(frozen=True)
class Selection:
    """What to verify.

    Attributes:
        datasets: Names; empty for all in the output folder.
        first: First day, `YYYY-MM-DD`; None for no bound.
        last: Last day, included; None for no bound.
        quick: Whether to read no data file.
        source: Whether to compare days with the database.
        privacy: Whether to search days for identifiers.
    """

    datasets: tuple[str, ...] = ()
    first: str | None = None
    last: str | None = None
    quick: bool = False
    source: bool = False
    privacy: bool = False

    def includes(self, day: str) -> bool:
        """Whether a day is within the bounds."""
        return (self.first or day) <= day <= (self.last or day)


@dataclass
class Summary:
    """The result of a verification; `as_json` is documented in docs/verify.md."""

    output: str
    findings: list[VerifyFinding] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    datasets: int = 0
    days: int = 0
    bad_days: int = 0
    files: int = 0
    rows: int = 0
    size_bytes: int = 0
    duration_s: float = 0.0

    @property
    def exit_code(self) -> int:
        """0: no damage; 1: damage found; 2: something could not be checked."""
        if self.errors:
            return 2
        return int(any(finding.level == "FAIL" for finding in self.findings))

    def add(self, report: VerifyReport) -> None:
        """Add the report of a day, or of the folders of a dataset."""
        self.findings += report.findings
        self.files += report.files
        self.rows += report.rows
        self.size_bytes += report.size_bytes
        if report.day is not None:
            self.days += 1
            self.bad_days += report.failed

    def as_json(self) -> dict[str, Any]:
        """The document of `--json`."""
        checked = ("datasets", "days", "bad_days", "files", "rows", "size_bytes", "duration_s")
        return {
            "status": ("ok", "findings", "not_checked")[self.exit_code],
            "output": self.output,
            "checked": {name: getattr(self, name) for name in checked},
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
            "errors": self.errors,
            "notes": self.notes,
        }


def verify(selection: Selection, summary: Summary, on_begin: OnBegin) -> Iterator[VerifyReport]:
    """Verify the selected days, and count the results in `summary`.

    Args:
        selection: What to verify.
        summary: Filled while this is iterated.
        on_begin: Receives the meter, which tells how far it is.

    Returns:
        A report per dataset with findings on its folders, and one per day.

    Raises:
        UnknownNameError: a selected dataset is neither defined nor in the output folder.
        DayNotPublishedError: a single day was selected, and no selected dataset has it.
    """
    store, began = open_store(), time.monotonic()
    definitions = Definitions()
    known = set(definitions.exported_names())
    folder = _verify_output_folder(store, summary)
    if folder.findings:
        yield folder
    found = sorted({*store.datasets(), *store.recorded_datasets()})
    for name in selection.datasets:
        if name not in {*known, *found}:
            raise UnknownNameError("dataset", name, sorted({*known, *found}))
    days = []
    for dataset in selection.datasets or found:
        report, published = verify_folders(store, dataset, known)
        verify_begun(store, dataset, report, has_days=bool(published))
        published = sorted({*published, *missing_days(store, dataset, published)})
        summary.datasets += dataset in found
        summary.add(report)
        if report.findings:
            yield report
        days += [(dataset, day) for day in published if selection.includes(day)]
    if not days and selection.first and selection.first == selection.last:
        raise _not_published(store, selection.datasets, found, selection.first)
    not_compared: set[str] = set()
    read = lru_cache(definitions.named)  # checked once, not for each day
    on_begin(meter := Meter(len(days)))
    with databases.open_session() as session:
        for dataset, day in days:
            meter.begin(dataset, day)
            report, manifest = verify_day(store, dataset, day, quick=selection.quick)
            verify_recorded(store, dataset, day, report)
            if manifest and dataset not in not_compared:
                try:
                    if selection.privacy:
                        current = read(dataset) if dataset in known else None
                        _search(store, current, manifest, report)
                    if selection.source:
                        _compare(store, read(manifest.dataset), manifest, session, report, meter)
                except ExporterError as error:  # the same for each day of the dataset
                    not_compared.add(dataset)
                    summary.errors.append(f"{printable(dataset)} {day}: {error}")
            meter.end()
            summary.add(report)
            summary.duration_s = round(time.monotonic() - began, 3)
            yield report


def _verify_output_folder(store: Store, summary: Summary) -> VerifyReport:
    """Whether this is the output folder that was exported to before."""
    report = VerifyReport("-")
    if problem := output_folder.problem(store):
        report.add("output_folder", ".", problem, output_folder.HINT)
        summary.add(report)
    return report


def _not_published(
    store: Store, chosen: tuple[str, ...], found: list[str], day: str
) -> DayNotPublishedError:
    """Why a day cannot be verified: retention removed it, or it was never published."""
    for dataset in chosen or found:
        removed = day_removed(store, dataset, day)
        if removed:
            return DayNotPublishedError(
                f"{day} of {dataset} was removed by retention on "
                f"{removed.removed_at:%Y-%m-%d} ({removed.reason}).",
                "This is not damage. It can be exported again while the source has its rows.",
            )
    of = f" for {', '.join(chosen)}" if chosen else ""
    return DayNotPublishedError(
        f"{day} is not published in {store.location}{of}.", "It was never exported, or it was held."
    )


def _compare(
    store: Store,
    dataset: Dataset,
    manifest: Manifest,
    session: Session,
    report: VerifyReport,
    meter: Meter,
) -> None:
    """Compare a day with the database; skips a day that was replaced after it was verified."""
    if source_keeps_no_longer(dataset, manifest.partition, settings.today()):
        folder = layout.day_path(manifest.dataset, manifest.partition)
        days = dataset.config.source.keeps_days
        message = f"is not compared: the source no longer keeps it (keeps_days: {days})"
        report.add("not_kept", folder, message, "", level="warn")
        return
    with suppress(FileNotFoundError):
        compare_day(store, dataset, manifest, session, report, meter.batch)


def _search(
    store: Store, dataset: Dataset | None, manifest: Manifest, report: VerifyReport
) -> None:
    """Search a day for identifiers; skips a day that was replaced after it was verified."""
    with suppress(FileNotFoundError):
        verify_privacy(store, dataset, manifest, report)


def selection_of(
    datasets: tuple[str, ...],
    day: str | None,
    first: str | None,
    last: str | None,
    *,
    quick: bool = False,
    source: bool = False,
    privacy: bool = False,
) -> Selection:
    """The selection that the options of the command describe.

    Raises:
        ConfigurationError: the options contradict each other.
    """
    if day and (first or last):
        raise ConfigurationError("--day and --from/--to were both given.", "Give one of them.")
    if first and last and last < first:
        raise ConfigurationError(f"--to {last} is before --from {first}.")
    return Selection(
        tuple(dict.fromkeys(datasets)), day or first, day or last, quick, source, privacy
    )
