"""Searches published days for identifiers again, with what is known without the source and the key.

The raw values of a day are not stored anywhere. So e-mail addresses, MAC addresses and secrets are
searched in general, and IP addresses are counted: in columns that the policy masks, each is a
pseudonym, and the manifest states how many there are. `--source` compares each row with the row
that a new export would write.
"""

from __future__ import annotations

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.leak_check import search_rows
from exporter_pipelines.engine.load import decoded, row_schema
from exporter_pipelines.engine.rewritten_addresses import StatedPolicy
from exporter_pipelines.extras import require
from exporter_pipelines.stores import layout
from exporter_pipelines.verification.report import VerifyReport


def verify_privacy(
    store: Store, dataset: Dataset | None, manifest: Manifest, report: VerifyReport
) -> None:
    """Report identifiers in a published day.

    Args:
        store: Where the day is published.
        dataset: Its current definition; None if there is none.
        manifest: Of the day, verified.
        report: Receives the findings, which name column and kind, never a value.

    Raises:
        MissingExtraError: the packages that this needs are not installed.
        FileNotFoundError: the day was replaced or removed in the meantime.
    """
    folder = layout.day_path(manifest.dataset, manifest.partition)
    stated = manifest.privacy
    if stated is None:
        if dataset is not None and dataset.config.privacy is not None:
            message = "was exported without the privacy policy that the dataset has now"
            report.add("privacy_missing", folder, message)
        return
    require("privacy")
    from exporter_pipelines.privacy.leaks import LeakSearch

    search, policy, schema = (
        LeakSearch({}, {}, frozenset()),
        StatedPolicy(stated),
        row_schema(manifest),
    )
    with store.published_day(manifest.dataset, manifest.partition) as day:
        for entry in manifest.files:
            with day.open(entry.path) as file:
                search_rows(search, policy, decoded(file, entry, schema), schema)
    leaks = search.finish()
    found = ", ".join(f"{n} x {kind} in {column}" for (column, kind), n in leaks.hits.most_common())
    if found:
        report.add("raw_identifiers", folder, f"has raw identifiers: {found}")
    expected = stated.leak_check.addresses if stated.leak_check else 0
    if leaks.addresses != expected:
        message = f"has {leaks.addresses:,} IP addresses in masked columns, not {expected:,}"
        report.add("raw_identifiers", folder, message)
