"""`exporter download`: published days of a service as files."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter_pipelines import dotenv_file
from exporter_pipelines.cli.exit_codes import INTERRUPTED, NOT_PUBLISHED, PUBLISHED
from exporter_pipelines.cli.export_arguments import parse_range
from exporter_pipelines.cli.export_progress import Display
from exporter_pipelines.cli.service_options import (
    errors_as_exit_codes,
    opened_client,
    service_address,
    service_options,
)
from exporter_pipelines.contracts.progress import duration, percent

if TYPE_CHECKING:
    from exporter_pipelines.client import Client
    from exporter_pipelines.service.models import DatasetDay

_MOST_NAMED = 10


@click.command()
@click.argument("dataset")
@click.argument("first")
@click.argument("last", required=False)
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path, file_okay=False), default=".",
    show_default=True, help="Folder that gets the files.",
)  # fmt: skip
@service_options
def download(
    dataset: str,
    first: str,
    last: str | None,
    folder: Path,
    server: str | None,
    token_file: Path | None,
) -> None:
    """Download the published days of DATASET from FIRST to LAST, with their manifests.

    A day goes to DATASET/data/date=DAY, as in the output folder. A file gets its name when it is
    complete and has the SHA-256 of its manifest. Run the command again after an interruption: it
    resumes, and what is there is not downloaded again.

    \b
    Exit codes:
      0    every day is there
      1    a day is not published, or a file could not be downloaded or written
      2    the command was used incorrectly, the token may not do this, or a setting is wrong
      3    the service cannot be reached
      130  interrupted; finished files stay
    """  # noqa: D301 - click wants the character itself
    begins, ends = parse_range(first, last or first)
    with errors_as_exit_codes():
        dotenv_file.load_dotenv()
        url = service_address(server)
        if url is None:
            raise click.UsageError("Name the service with --server or EXPORTER_API_URL.")
        with opened_client(url, token_file) as client:
            try:
                code = _download(client, dataset, begins, ends, folder)
            except KeyboardInterrupt:
                click.echo("\nInterrupted. The same command resumes the download.", err=True)
                code = INTERRUPTED
    raise SystemExit(code)


def _download(client: Client, dataset: str, first: dt.date, last: dt.date, folder: Path) -> int:
    client.dataset(dataset)  # says if it does not exist, and which ones do
    listed = {day.day: day for day in client.days(dataset, first, last)}
    wanted = [first + dt.timedelta(n) for n in range((last - first).days + 1)]
    published = [day for day in wanted if day in listed and listed[day].published_at]
    meter = _Meter(dataset, sum(listed[day].size_bytes or 0 for day in published), len(published))
    found = []
    with Display(meter.look):
        for day in published:
            meter.day = str(day)
            # A prune may remove a day after it was listed; the other days are downloaded.
            found += client.download(
                dataset, day, day, folder, missing="skip", on_progress=meter.add
            )
            meter.done += 1
    there_now = {each.day for each in found}
    absent = [day for day in wanted if str(day) not in there_now]
    _print_absent(dataset, absent, listed)
    there = sum(day.was_there for day in found)
    again = f", {there:,} of them were there" if there else ""
    megabytes = sum(day.size_bytes for day in found) / 1e6
    click.echo(
        f"{len(found):,} of {len(wanted):,} days of {dataset} are in "
        f"{folder / dataset / 'data'}{again}; {megabytes:,.1f} MB."
    )
    return NOT_PUBLISHED if absent else PUBLISHED


def _print_absent(dataset: str, absent: list[dt.date], listed: dict[dt.date, DatasetDay]) -> None:
    for day in absent[:_MOST_NAMED]:
        state: str = listed[day].state if day in listed else "missing"
        if day in listed and listed[day].published_at:
            state = "removed during the download"
        click.echo(f"{dataset} {day}: not published ({state}).")
    if (more := len(absent) - _MOST_NAMED) > 0:
        click.echo(f"{dataset}: {more:,} more days are not published.")


class _Meter:
    """How many bytes have arrived."""

    def __init__(self, dataset: str, size_bytes: int, days: int) -> None:
        self._dataset, self._size, self._days = dataset, max(size_bytes, 1), days
        self._began, self._bytes = time.monotonic(), 0
        self.day, self.done = "", 0

    def add(self, count: int) -> None:
        """So many bytes have arrived."""
        self._bytes += count

    def look(self) -> tuple[float, str]:
        """`3 of 14 days, 21 %, logs 2026-11-04, 5.2 of 24.8 MB, 2.1 MB/s, 9 s left`."""
        share = min(self._bytes / self._size, 1.0)
        elapsed = max(time.monotonic() - self._began, 1e-6)
        arrived, total = self._bytes / 1e6, self._size / 1e6
        line = (
            f"{self.done:,} of {self._days:,} days, {percent(share)}, {self._dataset} {self.day}, "
            f"{arrived:,.1f} of {total:,.1f} MB, {arrived / elapsed:,.1f} MB/s"
        )
        left = f", {duration(elapsed / share - elapsed)} left" if share else ""
        return share, line + left
