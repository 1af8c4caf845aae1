"""Opens the store of this project.

Belongs here: which kind of store EXPORTER_OUTPUT_URL names. Does not belong here: anything that a
store does.
"""

from __future__ import annotations

from exporter_pipelines import settings
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.stores.local.store import LocalStore


def open_store() -> Store:
    """The store at EXPORTER_OUTPUT_URL, which is read when this is called.

    Raises:
        ConfigurationError: it is neither a folder nor a URL of a kind that is supported.
    """
    return LocalStore(settings.output_root())
