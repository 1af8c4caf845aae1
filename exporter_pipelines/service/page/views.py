"""What the templates of the exports page show, as they need it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from markupsafe import Markup

from exporter_pipelines.errors import ConfigurationError, ExporterError
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.day_states import held_days
from exporter_pipelines.service.models import Export, ExportSummary, Result
from exporter_pipelines.service.page.charts import safe_charts
from exporter_pipelines.service.page.reasons import Reason, reasons_of
from exporter_pipelines.service.principals import Principal, Role

MARKS = {
    "published": "\N{CHECK MARK}",
    "held": "!",
    "failed": "\N{MULTIPLICATION X}",
    "running": "\N{BLACK RIGHT-POINTING TRIANGLE}",
    "pending": "\N{MIDDLE DOT}",
    "cancelled": "\N{EN DASH}",
}
"""State of a day -> what its cell shows, so that color is not the only difference."""

SOURCES = {
    "page": "this page",
    "rest": "API",
    "ui": "Dagster",
    "schedule": "schedule",
    "sensor": "sensor",
    "cli": "command",
}
"""Where an export was started -> its name on the page."""

STATES = ("pending", "running", "completed", "held", "failed", "cancelled")
LIVE = ("pending", "running")
_REASONS_SHOWN = 10
_MOST_DAYS_OF_A_DOWNLOAD = 366


@dataclass(frozen=True)
class Choice:
    """A dataset or preset in the form; `problem` says why it cannot be exported."""

    name: str
    is_preset: bool
    description: str
    problem: str


@dataclass(frozen=True)
class Card:
    """An export as a card.

    Attributes:
        export: It.
        still_held: (dataset, day) of days that are held now; a hold may have ended meanwhile.
    """

    export: Export
    still_held: frozenset[tuple[str, str]]

    @property
    def name(self) -> str:
        """Its title, or what it exports."""
        return name_of(self.export)

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.export.status in LIVE

    @property
    def strips(self) -> Iterator[tuple[str, list[Result]]]:
        """Dataset -> its days, in order."""
        for dataset in self.export.datasets:
            days = [each for each in self.export.results if each.dataset == dataset]
            yield dataset, sorted(days, key=lambda each: each.day)

    @cached_property
    def reasons(self) -> list[Reason]:
        """Why days were held or failed."""
        return reasons_of(self.export.results)

    @property
    def first_reasons(self) -> list[Reason]:
        """Those that are shown at once."""
        return self.reasons[: self._shown]

    @property
    def more_reasons(self) -> list[Reason]:
        """Those that are shown on demand."""
        return self.reasons[self._shown :]

    @property
    def _shown(self) -> int:
        own = sum(each.first.docs_entry is not None for each in self.reasons)
        return min(own or _REASONS_SHOWN, _REASONS_SHOWN)

    @property
    def days_not_published(self) -> int:
        """How many days have a reason."""
        return len(self._first_days)

    def anchor_of(self, result: Result) -> str:
        """The id of the element that says why a day is not published."""
        first = self._first_days[result.dataset, result.day]
        return f"day-{self.export.id}-{result.dataset}-{first}"

    @cached_property
    def _first_days(self) -> dict[tuple[str, dt.date], dt.date]:
        """(dataset, day) -> the first day with the same reason."""
        return {
            (each.dataset, each.day): reason.first.day
            for reason in self.reasons
            for each in reason.results
        }

    def is_still_held(self, result: Result) -> bool:
        """Whether the hold of a day has not ended."""
        return (result.dataset, str(result.day)) in self.still_held


def card_of(context: ServiceContext, export: Export) -> Card:
    """The card of an export."""
    lost = [each for each in export.results if each.lost_rows is not None]
    held = {
        (dataset, day)
        for dataset in {each.dataset for each in lost}
        for day in held_days(
            context.store, dataset, [str(each.day) for each in lost if each.dataset == dataset]
        )
    }
    return Card(export, frozenset(held))


def choices(context: ServiceContext) -> list[Choice]:
    """All datasets, then all presets, also those whose definition has a mistake."""
    found = []
    for each in sorted(context.definitions, key=lambda each: (each.is_preset, each.name)):
        try:
            description = context.definitions.checked(each).config.description
            problem = ""
        except ConfigurationError as error:
            description, problem = "", str(error)
        found.append(Choice(each.name, each.is_preset, description, problem))
    return found


def name_of(export: ExportSummary) -> str:
    """The title of an export, or what it exports."""
    return export.title or f"{', '.join(export.datasets)}, {days_of(export)}"


def days_of(export: ExportSummary) -> str:
    """The day, or the first and the last one."""
    first, last = export.start_date, export.end_date
    return str(first) if first == last else f"{first} to {last}"


def duration_of(export: ExportSummary) -> float | None:
    """Seconds from start to end; None before the end."""
    if export.started_at is None or export.ended_at is None:
        return None
    return (export.ended_at - export.started_at).total_seconds()


def downloads_of(context: ServiceContext, export: Export) -> list[tuple[str, str]]:
    """As `downloads`, for datasets with a day that was published."""
    published = {each.dataset for each in export.results if each.status == "published"}
    return [each for each in downloads(context, export) if each[0] in published]


def downloads(context: ServiceContext, export: ExportSummary) -> list[tuple[str, str]]:
    """(dataset, path): the published days of an export, as they are now."""
    if not export.days.get("published"):
        return []
    if (export.end_date - export.start_date).days >= _MOST_DAYS_OF_A_DOWNLOAD:
        return []
    names = context.definitions.exported_names()
    return [(name, _download(context, export, name)) for name in export.datasets if name in names]


def _download(context: ServiceContext, export: ExportSummary, dataset: str) -> str:
    """JSON Lines can be joined into one file; other formats come as an archive."""
    try:
        format_ = context.definitions.named(dataset).config.format
    except ConfigurationError:  # its published days are still there
        format_ = ""
    shape = "concat" if format_ == "jsonl" else "tar"
    days = f"start_date={export.start_date}&end_date={export.end_date}"
    return context.url(f"/api/v1/datasets/{quote(dataset)}/rows?{days}&missing=skip&as={shape}")


def charts(context: ServiceContext) -> Markup | None:
    """The charts of the newest export report; None if there is none."""
    try:
        html = (context.store.read_report(None) or b"").decode()
    except (ExporterError, UnicodeDecodeError):
        return None  # the page says that there is no report
    return safe_charts(html) if html else None


def reason_not(who: Principal | None, role: Role, what: str, *, read_only: bool) -> str:
    """Why a button is disabled; empty if it is not."""
    if read_only:
        return "The service is in read-only mode: nobody may change anything."
    if who is None or who.may(role):
        return ""
    roles: Sequence[str] = sorted(who.roles)
    return f"{what} needs the role {role}. {who.name} has {' and '.join(roles) or 'no role'}."
