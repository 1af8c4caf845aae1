"""Wires the service: routes, problem documents, the Dagster UI, and the guard around all of it."""

from __future__ import annotations

from dataclasses import replace

from fastapi import FastAPI
from starlette.types import ASGIApp

from exporter_pipelines.service.access import Access
from exporter_pipelines.service.answered_requests import AnsweredRequests
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.dagster_ui import dagster_ui
from exporter_pipelines.service.exports import Exports
from exporter_pipelines.service.guard import Guard
from exporter_pipelines.service.history import History
from exporter_pipelines.service.page.recent_metrics import RecentMetrics
from exporter_pipelines.service.problem_responses import install_problems
from exporter_pipelines.service.prometheus import registry_of
from exporter_pipelines.service.readiness import ReadinessChecks
from exporter_pipelines.service.routes import ROUTERS
from exporter_pipelines.service.watching import Watcher


def create_app(context: ServiceContext) -> ASGIApp:
    """The whole service as one ASGI application."""
    options = context.options
    access = context.access or Access.of(
        host=options.host, port=options.port, prefix=options.prefix, read_only=options.read_only
    )
    api = create_api(replace(context, access=access))
    return Guard(api, access)


def create_api(context: ServiceContext) -> FastAPI:
    """The service without its guard: our routes, then the Dagster UI."""
    api = FastAPI(title="exporter_pipelines", docs_url=None, redoc_url=None, openapi_url=None)
    ui = dagster_ui(context)
    api.state.context, api.state.ui, api.state.access = context, ui, context.access
    api.state.exports = exports = Exports(context, ui)
    api.state.history = history = History(context, exports.reader)
    api.state.recent_metrics = RecentMetrics(history)
    api.state.watcher = Watcher(exports)
    api.state.readiness = ReadinessChecks(context)
    api.state.prometheus = registry_of(context, history.output)
    install_problems(api)
    api.add_middleware(AnsweredRequests, context=context)
    if context.access and context.access.provider:
        # Imported here: it needs the extra `oidc`.
        from exporter_pipelines.service.routes import oidc_login

        api.include_router(oidc_login.router, prefix=context.options.prefix)
    for router in ROUTERS:
        api.include_router(router, prefix=context.options.prefix)
    api.mount("/", ui.asgi())
    return api
