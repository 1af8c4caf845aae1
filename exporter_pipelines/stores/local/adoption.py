"""Begins the ledger of a dataset whose days were published before there was one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.adopted import adopted_entry
from exporter_pipelines.stores.local import ledger
from exporter_pipelines.stores.local.cleanup import day_lock, ledger_lock
from exporter_pipelines.stores.local.files import translate_os_errors
from exporter_pipelines.stores.local.small_files import read_small_file


def adopt(root: Path, dataset: str, days: Sequence[str]) -> int:
    """Write an `adopted` entry for each published day, and then one for the dataset.

    The last one says that all days were adopted. If the process dies before it, the next export
    begins again; days that have entries are left alone.

    Args:
        root, dataset: Whose ledger.
        days: The published days.

    Returns:
        Number of days that were adopted.
    """
    with ledger_lock(root, dataset, None):
        if ledger.exists(root, dataset):
            return 0  # another process was faster
        adopted = sum(_adopt_day(root, dataset, day) for day in days)
        if adopted:
            ledger.sync(root, dataset)
        ledger.append(root, Entry(event="adopted", dataset=dataset, reason=f"{adopted} days"))
    return adopted


def _adopt_day(root: Path, dataset: str, day: str) -> bool:
    with day_lock(root, dataset, day):
        path = layout.day_folder(root, dataset, day) / MANIFEST_NAME
        with translate_os_errors(path, "read"):
            data = read_small_file(path, root)
        if data is None or ledger.entries(root, dataset, day):
            return False
        entry = adopted_entry(dataset, day, data)
        ledger.append(root, entry, durable=False)
    return True
