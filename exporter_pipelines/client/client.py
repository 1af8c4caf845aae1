"""`Client`: the endpoints of `/api/v1` as methods."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx

from exporter_pipelines.client.connection import Connection
from exporter_pipelines.client.downloads import DownloadedDay, download_days
from exporter_pipelines.client.remote_export import RemoteExport
from exporter_pipelines.client.row_stream import RowStream
from exporter_pipelines.client.training_set_methods import TrainingSetMethods
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.service.models import (
    Dataset,
    DatasetDay,
    DatasetDays,
    Datasets,
    Export,
    ExportMetrics,
    ExportPage,
    ExportState,
    ExportSummary,
    Me,
    Only,
    Preview,
    Source,
)

Day = str | dt.date
"""`YYYY-MM-DD` or a date."""


class Client(TrainingSetMethods):
    """A service, at one address, with one token. Use it in a `with` statement, or call `close`.

    Args:
        url: Address of the service, with its path prefix if it has one.
        token: Of `exporter token add`; None for a service on this machine without tokens.
        timeout_s: To connect, and between two parts of an answer.
        allow_http: Whether the token may be sent unencrypted to another machine.
        transport: Replaces the network, as httpx's transports do.

    Raises:
        ConfigurationError: the address or the token cannot be used.

    Every method raises `ServiceUnreachableError` when there is no answer, and a
    `RequestRefusedError` when the service refuses the request.

    Example:
        with Client("https://exports.example.org", token) as client:
            export = client.export(["logs"], "2026-11-01", "2026-11-14").wait(print)
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout_s: float = 30.0,
        allow_http: bool = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._connection = Connection(
            url, token, timeout_s=timeout_s, allow_http=allow_http, transport=transport
        )
        self.url = self._connection.address.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def me(self) -> Me:
        """Who the service takes the sender for, and which roles it has."""
        return self._connection.get("/me", Me)

    def export(
        self,
        datasets: Sequence[str],
        first: Day,
        last: Day | None = None,
        *,
        only: Sequence[Only] = (),
        batch_rows: int | None = None,
        title: str | None = None,
        idempotency_key: str | None = None,
    ) -> RemoteExport:
        """Start an export of the days `first` to `last`, both included, and return at once.

        Args:
            datasets: Names of datasets and presets.
            first: The first day.
            last: The last day; None for one day.
            only: Export only days that are missing, held or failed.
            batch_rows: Maximum rows in a batch; never changes the result.
            title: Shown in lists.
            idempotency_key: The service starts one export per key. By default each call has its
                own, which makes it safe to send the request again after a lost connection.
        """
        started = self._connection.post(
            "/exports",
            Export,
            body=_request(datasets, first, last, only, batch_rows, title),
            headers={"Idempotency-Key": idempotency_key or uuid.uuid4().hex},
            repeatable=True,
        )
        return RemoteExport(self._connection, started.id, started)

    def preview(
        self,
        datasets: Sequence[str],
        first: Day,
        last: Day | None = None,
        *,
        only: Sequence[Only] = (),
    ) -> Preview:
        """The days that `export` would export, with the number of rows in the source."""
        body = _request(datasets, first, last, only, None, None)
        return self._connection.post("/exports/preview", Preview, body=body, repeatable=True)

    def get(self, id: str) -> RemoteExport:  # noqa: A002 - the field's name
        """An export by its id.

        Raises:
            UnknownResourceError: there is none.
        """
        export = RemoteExport(self._connection, id)
        export.status()
        return export

    def history(
        self,
        *,
        dataset: str | None = None,
        status: ExportState | None = None,
        user: str | None = None,
        source: Source | None = None,
        first: Day | None = None,
        last: Day | None = None,
        page_size: int = 50,
    ) -> Iterator[ExportSummary]:
        """All exports, newest first. Pages are read as they are needed.

        Args:
            dataset, status, user, source: Only exports with this one.
            first, last: Only exports that were started on these days.
            page_size: Exports per request, 1 to 200.
        """
        params = {
            "dataset": dataset, "status": status, "user": user, "source": source,
            "from": _text(first), "to": _text(last), "limit": page_size,
        }  # fmt: skip
        cursor = None
        while True:
            page = self._connection.get("/exports", ExportPage, params={**params, "cursor": cursor})
            yield from page.items
            cursor = page.next_cursor
            if not cursor:
                return

    def datasets(self) -> list[Dataset]:
        """All datasets and presets."""
        return self._connection.get("/datasets", Datasets).items

    def dataset(self, name: str) -> Dataset:
        """One dataset or preset.

        Raises:
            UnknownResourceError: there is none of this name.
        """
        return self._connection.get(f"/datasets/{quote(name, safe='')}", Dataset)

    def days(
        self, dataset: str, first: Day | None = None, last: Day | None = None
    ) -> Iterator[DatasetDay]:
        """The days of a dataset, newest first. Pages are read as they are needed."""
        path = f"/datasets/{quote(dataset, safe='')}/days"
        cursor = None
        while True:
            params = {"from": _text(first), "to": _text(last), "cursor": cursor}
            page = self._connection.get(path, DatasetDays, params=params)
            yield from page.items
            cursor = page.next_cursor
            if not cursor:
                return

    def manifest(self, dataset: str, day: Day) -> Manifest:
        """The manifest of a published day.

        Raises:
            UnknownResourceError: the day is not published.
        """
        path = f"/datasets/{quote(dataset, safe='')}/days/{day}/manifest"
        return self._connection.parse(self._connection.request("GET", path), Manifest)

    def download(
        self,
        dataset: str,
        first: Day,
        last: Day | None,
        folder: str | Path,
        *,
        missing: Literal["fail", "skip"] = "fail",
        on_progress: Callable[[int], None] | None = None,
    ) -> list[DownloadedDay]:
        """Download published days into `folder/DATASET/data/date=DAY/`, as in the output folder.

        Each file appears under its name when it is complete and has the SHA-256 of its manifest.
        What is there already is not downloaded again, and an interrupted download is resumed.

        Args:
            dataset: Its name.
            first: The first day.
            last: The last day, included; None for one day.
            folder: Where to; it is created.
            missing: Whether days that are not published are left out. They are not in the list
                that is returned.
            on_progress: Called with the number of bytes, for each part that has arrived.

        Raises:
            UnknownResourceError: the dataset does not exist, or a day is not published.
            DownloadError: a file is not as published, or cannot be written.
        """
        days = _days(first, last)
        return download_days(
            self._connection, dataset, days, Path(folder), missing=missing, arrived=on_progress
        )

    @contextmanager
    def open_rows(
        self,
        dataset: str,
        first: Day,
        last: Day | None = None,
        *,
        missing: Literal["fail", "skip"] = "fail",
        form: Literal["concat", "tar"] | None = None,
    ) -> Iterator[RowStream]:
        """The files of published days as one stream, without storing them.

        Args:
            dataset: Its name.
            first: The first day.
            last: The last day, included; None for one day.
            missing: Whether days that are not published are left out; `missing_days` of the stream
                names them. By default the service refuses the request and names them.
            form: `concat`, the files one after the other, for JSON Lines; `tar` for all formats.
                By default the service chooses.

        Example:
            with client.open_rows("logs", "2026-11-01", "2026-11-14") as file:
                frame = pd.read_json(file, lines=True, compression="gzip")
        """
        params = {
            "start_date": _text(first), "end_date": _text(last or first),
            "missing": missing, "as": form,
        }  # fmt: skip
        path = f"/datasets/{quote(dataset, safe='')}/rows"
        with self._connection.stream(path, params=params) as response:
            yield RowStream(response)

    def metrics(
        self,
        first: Day | None = None,
        last: Day | None = None,
        *,
        dataset: str | None = None,
    ) -> ExportMetrics:
        """Number of exports, success rate, average rows and quality."""
        params = {"from": _text(first), "to": _text(last), "dataset": dataset}
        return self._connection.get("/metrics/exports", ExportMetrics, params=params)


def _request(
    datasets: Sequence[str],
    first: Day,
    last: Day | None,
    only: Sequence[Only],
    batch_rows: int | None,
    title: str | None,
) -> dict[str, Any]:
    """The fields of `ExportRequest`; the service checks them, and names all mistakes at once."""
    return {
        "datasets": [datasets] if isinstance(datasets, str) else list(datasets),
        "start_date": str(first),
        "end_date": str(last or first),
        "only": list(only),
        "batch_rows": batch_rows,
        "title": title,
    }


def _text(day: Day | None) -> str | None:
    return str(day) if day is not None else None


def _days(first: Day, last: Day | None) -> list[dt.date]:
    start, end = (dt.date.fromisoformat(str(day)) for day in (first, last or first))
    return [start + dt.timedelta(n) for n in range((end - start).days + 1)]
