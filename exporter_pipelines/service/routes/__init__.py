"""The paths of the service. Each route names the role that it needs with `needs`."""

from fastapi import APIRouter

from exporter_pipelines.service.routes import datasets, files, health, login, me, unknown

ROUTERS: list[APIRouter] = [
    health.router,
    login.router,
    me.router,
    datasets.router,
    files.router,
    unknown.router,
]
"""In the order in which paths are matched."""
