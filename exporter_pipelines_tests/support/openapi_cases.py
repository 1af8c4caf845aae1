"""schemathesis over every operation of an OpenAPI document, with valid and with invalid data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, BaseSchema, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from starlette.types import ASGIApp, Receive, Scope, Send

_MAY_BE_503 = {"/readyz", "/api/v1/exports/{export_id}/events"}
# Rules that no schema can state: the order of two dates, which days and datasets exist.
_CONFIG = {
    "checks": {
        "positive_data_acceptance": {
            "expected-statuses": ["2xx", "3xx", "401", "403", "404", "409", "422", "429", "503"]
        }
    }
}
_NOT_SENT = (None, [], {})
"""Values of a query that no URL has."""


def document_of(app: ASGIApp, credentials: Mapping[str, str]) -> BaseSchema:
    """The document of an application, which is then asked in this process."""
    return schemathesis.openapi.from_asgi(
        "/api/v1/openapi.json",
        _from_this_machine(app),
        headers=credentials,
        config=SchemathesisConfig.from_dict(_CONFIG),
    )


def failures_of(
    document: BaseSchema,
    credentials: Mapping[str, str],
    real: Mapping[str, str],
    *,
    examples: int,
) -> Iterator[str]:
    """What is not answered as documented.

    Args:
        document: Of `document_of`.
        credentials: Headers of each request.
        real: Parameters of paths that exist; most random ones would be answered with 404.
        examples: Requests per operation, with valid and again with invalid data.
    """
    for found in document.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode:
            try:
                _try(operation, mode, credentials, real, examples)
            except Unsatisfiable:  # without parameters, no data are invalid
                continue
            except FailureGroup as failures:
                yield f"{operation.label}, {mode}: {failures.exceptions}"


def _try(
    operation: APIOperation,
    mode: GenerationMode,
    credentials: Mapping[str, str],
    real: Mapping[str, str],
    examples: int,
) -> None:
    excluded = [not_a_server_error] if operation.path in _MAY_BE_503 else []

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Case) -> None:
        if mode is GenerationMode.POSITIVE:
            case.path_parameters.update({k: real[k] for k in real if k in case.path_parameters})
        elif any(value in _NOT_SENT for value in (case.query or {}).values()):
            return  # what is wrong may be missing in the request
        case.call_and_validate(headers=dict(credentials), excluded_checks=excluded)

    send()


def _from_this_machine(app: ASGIApp) -> ASGIApp:
    """Requests in this process have neither a peer nor the Host of the service."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = [(k, v) for k, v in scope["headers"] if k != b"host"]
            local = {"headers": [*headers, (b"host", b"127.0.0.1:3000")]}
            scope = {**scope, **local, "client": ("127.0.0.1", 40_000)}
        await app(scope, receive, send)

    return application
