"""Opens the store of this project.

Belongs here: which kind of store EXPORTER_OUTPUT_URL names. Does not belong here: anything that a
store does.
"""

from __future__ import annotations

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
    extras.require("cloud")
    # Here, because obstore needs the extra.
    from exporter_pipelines.stores.objects.connection import connect
    from exporter_pipelines.stores.objects.location import Location
    from exporter_pipelines.stores.objects.store import ObjectStore

    return ObjectStore(
        connect(Location.of(url), settings.output_endpoint()),
        view="copy" if settings.output_view() else "none",
        part_bytes=settings.output_part_bytes(),
    )
