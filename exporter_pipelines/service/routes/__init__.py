"""The paths of the service. Each route names the role that it needs with `needs`."""

from fastapi import APIRouter

from exporter_pipelines.service.routes import (
    api_docs,
    datasets,
    documents,
    export,
    exports,
    files,
    health,
    login,
    me,
    metrics,
    page,
    training_sets,
    unknown,
)

ROUTERS: list[APIRouter] = [
    health.router,
    login.router,
    me.router,
    exports.router,
    datasets.router,
    files.router,
    training_sets.router,
    metrics.router,
    export.router,
    api_docs.router,
    documents.router,
    page.router,
    unknown.router,
]
"""In the order in which paths are matched."""
