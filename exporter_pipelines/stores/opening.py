"""Opens the store of this project.

Belongs here: which kind of store EXPORTER_OUTPUT_URL names. Does not belong here: anything that a
store does.
"""

from __future__ import annotations

import os
from functools import lru_cache

from exporter_pipelines import extras, settings
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.stores.local.store import LocalStore


def open_store() -> Store:
    """The store at EXPORTER_OUTPUT_URL, which is read when this is called.

    Raises:
        ConfigurationError: it is neither a folder nor a URL of a kind that is supported.
        MissingExtraError: it is a bucket, and the extra `cloud` is not installed.
    """
    url = settings.output_url()
    if not url.startswith(settings.BUCKET_URLS):
        return LocalStore(settings.output_root())
    view = "copy" if settings.output_view() else "none"
    endpoint, part_bytes = settings.output_endpoint(), settings.output_part_bytes()
    return _bucket(url, endpoint, view, part_bytes, os.getpid())


@lru_cache(maxsize=4)  # it has connections, and remembers what it has read
def _bucket(url: str, endpoint: str | None, view: str, part_bytes: int, _process: int) -> Store:
    """The store of a bucket. A forked process needs its own: threads of the client are not copied.

    Asked again, it is the same object: an attempt is begun and published through one store.
    """
    extras.require("cloud")
    # Here, because obstore needs the extra.
    from exporter_pipelines.stores.objects.connection import connect
    from exporter_pipelines.stores.objects.location import Location
    from exporter_pipelines.stores.objects.store import ObjectStore

    return ObjectStore(connect(Location.of(url), endpoint), view=view, part_bytes=part_bytes)
