"""Every error that a user can meet: what happened, with which values, what to do next.

Belongs here: exception classes, named by what the reader must fix.
Does not belong here: row content, passwords or connection strings; an error's text is stored in
Dagster's event log and shown in the UI.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar


class ExporterError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: What happened, with the value that caused it. One sentence.
        hint: What to do next. One sentence.

    Control characters are escaped in both: a value may come from a database, and errors reach
    terminals. Line breaks stay; a name that may have one is escaped by the caller (`listed`).

    Attributes:
        retryable: Whether another attempt a little later may succeed without any change.
        affects_all_days: Whether every other day of a range would fail in the same way.
        docs_anchor: Heading in docs/failures.md, as a link names it.
    """

    retryable = False
    affects_all_days: ClassVar[bool] = False
    docs_anchor: ClassVar[str] = "an-unexpected-error"

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = printable_lines(message)
        self.hint = printable_lines(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ConfigurationError(ExporterError):
    """A setting, a defs.yaml or a schema.py asks for something that cannot be done."""

    affects_all_days = True
    docs_anchor = "a-wrong-setting"


class MissingSettingError(ConfigurationError):
    """An environment variable that a run needs is not set."""

    docs_anchor = "a-variable-is-not-set"


class UnknownNameError(ConfigurationError):
    """A name is unknown; the message lists the known ones."""

    docs_anchor = "a-name-does-not-exist"

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        super().__init__(f"{kind} {name!r} does not exist (there are: {listed(known)}).", hint)


class UnknownFormatError(UnknownNameError):
    """`format` or `compression` is not one that this project writes."""


class SourceError(ExporterError):
    """The database failed, not the request; `retryable` says whether to retry."""

    docs_anchor = "the-database-stopped-in-the-middle"

    def __init__(self, message: str, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message, hint)
        self.retryable = retryable


class SourceUnavailableError(SourceError):
    """The database could not be reached or refused the connection; no day was started."""

    affects_all_days = True
    docs_anchor = "the-database-cannot-be-reached"


class SourceLostError(SourceError):
    """The database stopped answering, or refused to go on, in the middle of a day."""

    docs_anchor = "the-database-stopped-in-the-middle"


class SourceStalledError(SourceLostError):
    """The database keeps the connection open but does not answer; a retry would wait as long."""

    docs_anchor = "the-database-says-nothing"


class NotAnsweredError(ExporterError):
    """A database query was cancelled because it took longer than its limit."""

    docs_anchor = "a-query-took-too-long"

    NEEDS_INDEX = "The table is large. With an index on the column, the query is fast."
    CONVERTS_TIMES = (
        "Converting the values of the column to times takes longer than that. An index does not "
        "make this faster."
    )
    LOCKED = (
        "Another session has locked the table, as ALTER TABLE, VACUUM FULL and some migrations do. "
        "Run the command again when it has ended: pg_stat_activity lists the sessions."
    )
    UNKNOWN = "An index starts with the column. The table is very large, or the database is busy."

    def __init__(self, limit_s: float, hint: str = NEEDS_INDEX) -> None:
        super().__init__(f"no answer within {limit_s:g} s", hint)
        self.limit_s = limit_s


class UnknownTableError(ConfigurationError):
    """The configured table does not exist, or the user may not read it."""

    docs_anchor = "the-table-cannot-be-read"


class ColumnMismatchError(ConfigurationError):
    """The table's columns do not fit the dataset's schema."""

    docs_anchor = "the-columns-do-not-fit"


class RuleCrashedError(ExporterError):
    """A Pandera rule raised an exception, or returned one result instead of one per row."""

    docs_anchor = "a-rule-does-not-judge"


class TransformCrashedError(ExporterError):
    """A user-defined transform raised an exception, or returned other rows, columns or types."""

    docs_anchor = "a-transform-fails"


class OutputUnavailableError(ExporterError):
    """The output folder cannot be written: read-only, full, or without permission."""

    affects_all_days = True
    docs_anchor = "the-output-folder-cannot-be-written"


class HistoryUnavailableError(ExporterError):
    """Dagster's history cannot be opened or written."""

    affects_all_days = True
    docs_anchor = "dagsters-history-cannot-be-written"


class DayUnavailableError(OutputUnavailableError):
    """Something in the output folder blocks one day; other days are not affected."""

    affects_all_days = False
    docs_anchor = "something-is-in-the-way-of-one-day"


class WrongOutputFolderError(ConfigurationError):
    """The output folder is not the one that was exported to before."""

    docs_anchor = "another-output-folder"


class SupersededError(ExporterError):
    """Another run published different content for the day while this run was exporting it."""

    docs_anchor = "another-run-was-faster"


class DayHeldError(ExporterError):
    """A check failed with ERROR, so the day must not be published.

    Attributes:
        reasons: Sentences of the failed checks.
        rejected_at: Path or URL of the rejected rows; None when no row was rejected.
        quarantine: The same as a file; None when the exports are not on a local disk.
        problem: The message without the name of the day.
    """

    docs_anchor = "a-day-is-held"

    def __init__(
        self,
        day: str,
        reasons: list[str],
        quarantine: str | None,
        published_at: str = "",
        hint: str = "",
    ) -> None:
        stays = (
            f"the published export of {published_at} stays"
            if published_at
            else "this day has no published export"
        )
        where = f"Rejected rows: {quarantine}." if quarantine else ""
        problem = " ".join(filter(None, [f"held; {stays}.", *reasons, where]))
        super().__init__(f"{day}: {problem}", hint)
        self.problem = f"{problem} {hint}".strip()
        self.reasons, self.rejected_at = reasons, quarantine
        is_file = quarantine is not None and "://" not in quarantine
        self.quarantine = Path(str(quarantine)) if is_file else None


class DayNotPublishedError(ExporterError):
    """The requested day has no published export."""

    docs_anchor = "a-day-is-not-published"


class PublishedDayDamagedError(ExporterError):
    """A published day does not match its own manifest."""

    docs_anchor = "a-published-day-is-damaged"


def listed(names: Iterable[str]) -> str:
    """Untrusted names with commas, on one line; `none` if there are none."""
    return ", ".join(map(printable, names)) or "none"


def printable_lines(text: str) -> str:
    """Text with control characters escaped, except line breaks."""
    return "\n".join(map(printable, text.split("\n")))


def printable(text: str) -> str:
    """Untrusted text on one line, with control characters escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )
