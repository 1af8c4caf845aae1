"""The Dagster UI inside the service: which of its users may change something."""

from __future__ import annotations

import re

from starlette.requests import HTTPConnection

from exporter_pipelines.orchestration.dagster_internals.web_server import UserWebserver, WebUser
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.passed_requests import audit_details
from exporter_pipelines.service.principals import Principal, principal_of

USER_TAG = "exporter/user"
"""Tag of runs and backfills: the name of the principal who started them."""

_STARTED = re.compile(rb'"(?:runId|backfillId)": ?"([\w-]{1,64})"')
_NOBODY = WebUser(may_change=False)


def dagster_ui(context: ServiceContext) -> UserWebserver:
    """Dagster's web server with the rights of the principal that the guard recognised."""

    def user_of(connection: HTTPConnection) -> WebUser:
        principal = principal_of(connection)
        if principal is None:
            return _NOBODY
        may_change = principal.may("operator") and not context.options.read_only
        return WebUser(may_change, tags_of(principal))

    return UserWebserver(context.workspace, user_of, context.options.prefix, _note)


def _note(connection: HTTPConnection, mutations: list[str], answer: bytes) -> None:
    """For the audit line: what was asked for, and the run or backfill that it started."""
    details = audit_details(connection)
    details["operation"] = ",".join(mutations)
    if started := _STARTED.search(answer):
        details["export"] = started[1].decode()


def tags_of(principal: Principal) -> dict[str, str]:
    """The tags of what a principal starts."""
    return {USER_TAG: principal.name}
