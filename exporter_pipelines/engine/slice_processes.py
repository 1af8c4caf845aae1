"""The processes that read slices of a day, and what is said between them and this one.

A process gets an order, then numbers of slices, one at a time. It answers with the bytes of the
files of a slice, and at its end with its counts. Nothing but these bytes is shared: a process that
dies makes its day fail, which is then retried like after a lost connection.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import Any, Self

from exporter_pipelines import errors
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import SharedSnapshot
from exporter_pipelines.contracts.tally import Tally
from exporter_pipelines.engine.slice_files import SliceFiles
from exporter_pipelines.errors import ExporterError, SourceLostError

READER = "exporter_pipelines.slice_reader"
_ENDS_WITHIN_S = 10.0


@dataclass(frozen=True)
class SliceOrder:
    """What a process needs to know; sent through a pipe, since it has the URL of the database.

    Attributes:
        path: `sys.path`, to find the schema and the functions of the dataset.
        config: The dataset, as in a `defs.yaml`.
        window: The day.
        shared: Its snapshot.
        batch_rows: As for `stage_day`.
    """

    path: list[str]
    config: dict[str, Any]
    window: DayWindow
    shared: SharedSnapshot
    batch_rows: int

    @classmethod
    def of(
        cls, dataset: Dataset, window: DayWindow, shared: SharedSnapshot, batch_rows: int
    ) -> SliceOrder:
        """The order for a day of a dataset."""
        config = dataset.config.model_dump(mode="json", by_alias=True)
        return cls(list(sys.path), config, window, shared, batch_rows)


class SliceProcesses:
    """Some processes that read slices; a context manager, which ends them.

    Args:
        order: For each of them.
        count: Number of processes.
        progress: Called in this thread with the number of rows read so far.
    """

    def __init__(self, order: SliceOrder, count: int, progress: Callable[[int], object]) -> None:
        self._progress, self._rows = progress, 0
        self._said: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._left: Iterator[int] = iter(())
        self._lock = threading.Lock()
        self._ended: list[tuple[Tally, Any]] = []
        self._processes: list[_Process] = []
        self._threads: list[threading.Thread] = []
        try:
            for _ in range(count):
                self._processes.append(_Process(order))
        except BaseException:  # raised again; those that were started must end
            self.close()
            raise

    def slices(self, count: int) -> Iterator[SliceFiles]:
        """The slices from 0, in order; the caller closes them.

        Raises:
            ExporterError: as `stage_day`, or a process died.
        """
        self._left = iter(range(count))
        for process in self._processes:
            self._threads.append(threading.Thread(target=self._serve, args=(process,), daemon=True))
            self._threads[-1].start()
        ready: dict[int, SliceFiles] = {}
        try:
            for number in range(count):
                while number not in ready:
                    self._take(ready)
                yield ready.pop(number)
            while len(self._ended) < len(self._processes):
                self._take(ready)
        finally:
            for files in ready.values():
                files.close()

    def end(self) -> list[tuple[Tally, Any]]:
        """The counts of each process, and the mark of its snapshot, after all slices."""
        return self._ended

    def _take(self, ready: dict[int, SliceFiles]) -> None:
        """Wait for what a process says, and note it."""
        match self._said.get():
            case ("progress", rows):
                self._rows += rows
                self._progress(self._rows)
            case ("slice", number, files):
                ready[number] = files
            case ("end", tally, mark):
                self._ended.append((tally, mark))
            case ("failed", error):
                raise error

    def _serve(self, process: _Process) -> None:
        """Let a process read slices until none is left. Runs in a thread of its own."""
        try:
            while (number := self._next()) is not None:
                files = SliceFiles()
                for message in process.read(number):
                    match message:
                        case (("rows" | "rejected") as kind, data):
                            files.add(kind, data)
                        case ("entry", entry):
                            files.entry = entry
                        case _:
                            self._said.put(message)
                self._said.put(("slice", number, files))
            self._said.put(process.finish())
        except BaseException as error:  # raised again in the thread that waits
            self._said.put(("failed", error))

    def _next(self) -> int | None:
        with self._lock:
            return next(self._left, None)

    def close(self) -> None:
        """End all processes; harmless for those that have ended."""
        for process in self._processes:
            process.kill()
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class _Process:
    """One process. It also ends when this one does, because its standard input is then closed."""

    def __init__(self, order: SliceOrder) -> None:
        self._connection, theirs = Pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this package's own module
                [sys.executable, "-m", READER, str(theirs.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
            )
        finally:
            theirs.close()
        self._send(order)

    def read(self, number: int) -> Iterator[tuple[Any, ...]]:
        """Let it read a slice; yields what it says, without the end of the slice."""
        self._send(number)
        while (message := self._receive()) != ("done",):
            yield message

    def finish(self) -> tuple[Any, ...]:
        """Let it end; returns its counts."""
        self._send(None)
        message = self._receive()
        with suppress(subprocess.TimeoutExpired):  # time to close its session
            self._process.wait(_ENDS_WITHIN_S)
        return message

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def wait(self) -> None:
        """Wait until it has ended, and release it."""
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._connection.close()

    def _send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except OSError:
            raise self._lost() from None

    def _receive(self) -> tuple[Any, ...]:
        try:
            message: tuple[Any, ...] = self._connection.recv()
        except (EOFError, OSError):
            raise self._lost() from None
        if message[0] == "failed":
            raise _error(*message[1:])
        return message

    def _lost(self) -> ExporterError:
        try:
            code = self._process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            code = 0
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return SourceLostError(
            f"A process that read slices of the day ended too early ({how}).",
            "Nothing of this day was published. If the kernel ended it because memory was short, "
            "set EXPORTER_READERS to a smaller number.",
            retryable=True,
        )


def said_of(error: ExporterError) -> tuple[Any, ...]:
    """An error, as a process says it."""
    return ("failed", type(error).__name__, error.message, error.hint, error.retryable)


def _error(name: str, message: str, hint: str, retryable: bool) -> Exception:
    """The same error in this process; a subclass that only a source knows becomes its base."""
    class_ = getattr(errors, name, SourceLostError)
    error: ExporterError = class_.__new__(class_)
    ExporterError.__init__(error, message, hint)
    error.retryable = retryable
    return error


def serve(connection: Connection, read: Callable[[int], object], end: Callable[[], Any]) -> None:
    """In such a process: read the slices that are asked for, until there are no more."""
    while (number := connection.recv()) is not None:
        read(number)
        connection.send(("done",))
    connection.send(end())
