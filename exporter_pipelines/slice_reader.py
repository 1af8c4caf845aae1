"""Reads slices of a day in a process of its own, started by `engine.slice_processes`.

    python -m exporter_pipelines.slice_reader FILE_DESCRIPTOR

The process ends when its standard input is closed, that is, with the process that started it.
"""

from __future__ import annotations

from exporter_pipelines.process_memory import freeze_gc, limit_malloc_arenas, pause_gc

limit_malloc_arenas()  # before the imports below, which import Arrow
pause_gc()

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection

from exporter_pipelines import sources
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.dataset_config import DatasetConfig
from exporter_pipelines.contracts.row_models import load_row_schema
from exporter_pipelines.contracts.slices import slices_of
from exporter_pipelines.engine.slice_files import SliceStaging
from exporter_pipelines.engine.slice_processes import SliceOrder, said_of, serve
from exporter_pipelines.engine.stage import Stager
from exporter_pipelines.errors import ExporterError


def main(descriptor: int) -> None:
    """Read what is asked for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    freeze_gc()
    with Connection(descriptor) as connection:
        try:
            _read(connection, connection.recv())
        except ExporterError as error:
            connection.send(said_of(error))
        except (EOFError, BrokenPipeError):  # nobody waits for the rows any more
            pass


def _read(connection: Connection, order: SliceOrder) -> None:
    sys.path[:] = order.path
    config = DatasetConfig.model_validate(order.config)
    dataset = Dataset(config, load_row_schema(config.row_schema))
    parts = slices_of(order.window, config.slices)
    shared = order.shared
    databases = sources.Databases(
        lambda _variable: shared.url, sources.with_postgres_driver(shared.driver)
    )
    with databases, databases.day(dataset, order.window, shared=shared) as snapshot:
        stager = Stager(dataset, order.window, snapshot, run_id="")
        one_at_a_time = threading.Lock()

        def send(message: tuple[object, ...]) -> None:
            with one_at_a_time:  # one thread writes valid rows, the other rejected ones
                connection.send(message)

        def read(number: int) -> None:
            seen = stager.tally.rows_read

            def progress(rows: int, _total: int) -> None:
                nonlocal seen
                send(("progress", rows - seen))
                seen = rows

            stager.begin(SliceStaging(lambda kind, data: send((kind, data))), is_slice=True)
            stager.read(order.batch_rows, progress, parts[number])
            entries, _ = stager.end()
            send(("entry", entries[0] if entries else None))

        serve(connection, read, lambda: ("end", stager.tally, snapshot.mark()))


def _end_with_parent() -> None:
    os.read(0, 1)  # not through `sys.stdin`, whose lock would be held at the end
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
