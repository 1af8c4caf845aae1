"""The client of the service `exporter serve`, for programs and notebooks.

    from exporter_pipelines.client import Client

    with Client("https://exports.example.org", token) as client:
        export = client.export(["logs"], "2026-11-01", "2026-11-14").wait()
        client.download("logs", "2026-11-01", "2026-11-14", "downloads")

Belongs here: HTTP requests, retries, downloads. The requests and responses are the models of
`service.models`. Does not belong here: Dagster, Arrow, pandas, a database, or the service itself.
The commands `exporter export --server`, `status`, `history` and `download` use this client.
"""

from exporter_pipelines.client.client import Client
from exporter_pipelines.client.downloads import DownloadedDay
from exporter_pipelines.client.errors import (
    DownloadError,
    InvalidRequestError,
    RequestRefusedError,
    RoleMissingError,
    ServiceFailedError,
    ServiceUnreachableError,
    StateConflictError,
    TokenRefusedError,
    TooManyRequestsError,
    UnexpectedAnswerError,
    UnknownResourceError,
)
from exporter_pipelines.client.remote_build import RemoteBuild
from exporter_pipelines.client.remote_export import RemoteExport
from exporter_pipelines.client.row_stream import RowStream
from exporter_pipelines.client.training_sets import DownloadedTrainingSet

__all__ = [
    "Client",
    "DownloadError",
    "DownloadedDay",
    "DownloadedTrainingSet",
    "InvalidRequestError",
    "RemoteBuild",
    "RemoteExport",
    "RequestRefusedError",
    "RoleMissingError",
    "RowStream",
    "ServiceFailedError",
    "ServiceUnreachableError",
    "StateConflictError",
    "TokenRefusedError",
    "TooManyRequestsError",
    "UnexpectedAnswerError",
    "UnknownResourceError",
]
