"""The paths of the service. Each route names the role that it needs with `needs`."""

from fastapi import APIRouter

from exporter_pipelines.service.routes import health, me

ROUTERS: list[APIRouter] = [health.router, me.router]
"""In the order in which paths are matched."""
