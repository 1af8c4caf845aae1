"""Turns every error of the API into a problem document."""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter_pipelines.errors import (
    ConfigurationError,
    DayNotPublishedError,
    ExporterError,
    PublishedDayDamagedError,
    UnknownNameError,
    printable,
    printable_lines,
)
from exporter_pipelines.service.context import context_of
from exporter_pipelines.service.page.rendering import page, wants_page
from exporter_pipelines.service.problems import MEDIA_TYPE, FieldError, Problem

_LOG = logging.getLogger("exporter.service")
_STATUSES: tuple[tuple[type[ExporterError], int], ...] = (
    (UnknownNameError, 404),
    (DayNotPublishedError, 404),
    (PublishedDayDamagedError, 409),
    (ConfigurationError, 409),
)
"""Of errors that are not the service's own. All others may pass by themselves: 503."""


def install_problems(api: FastAPI) -> None:
    """Answer with problem documents; FastAPI's own answers are not."""
    api.add_exception_handler(Problem, _problem)
    api.add_exception_handler(RequestValidationError, _validation)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(ExporterError, _exporter)
    api.add_middleware(LastHandler)


def respond(request: Request, problem: Problem) -> Response:
    """The response of a problem: a page for a browser that asked for one, else a document."""
    if wants_page(request):
        title = HTTPStatus(problem.status).phrase
        found = page(
            request, "problem.html", problem.status,
            title=title, detail=problem.detail, anchor=problem.anchor,
        )  # fmt: skip
        found.headers.update(problem.headers)
        return found
    docs = context_of(request).url("/docs/")
    return JSONResponse(
        problem.document(request.url.path, docs), problem.status, problem.headers, MEDIA_TYPE
    )


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return respond(request, error)


def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    in_body = any(each["loc"][0] == "body" for each in found)
    if in_body and _has_body(request) and not _is_json(request):
        kind = printable(request.headers.get("content-type", "none"))
        detail = f"The Content-Type of the body is {kind}. Send application/json."
        return respond(request, Problem(415, detail))
    if broken := [each for each in found if each["type"] == "json_invalid"]:
        place = broken[0]["loc"][-1]
        return respond(request, Problem(400, f"The body is not valid JSON at character {place}."))
    errors = [_field(each) for each in found]
    detail = " ".join(
        f"{each.pointer}: {each.message}" if each.pointer else each.message for each in errors
    )
    return respond(request, Problem(422, detail, errors=errors))


def _field(error: Mapping[str, object]) -> FieldError:
    location = error["loc"]
    assert isinstance(location, tuple)
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in location[1:])
    return FieldError("".join(f"/{printable(part)}" for part in parts), _message(error))


def _message(error: Mapping[str, object]) -> str:
    """One sentence, without the value: it may be long, or a secret in the wrong field."""
    known = {"missing": "This field is required.", "extra_forbidden": "This field is not known."}
    message = str(error["msg"]).removeprefix("Value error, ").rstrip(".")
    return known.get(str(error["type"]), f"{printable(message)}.")


def _has_body(request: Request) -> bool:
    length = request.headers.get("content-length", "0")
    return length != "0" or "transfer-encoding" in request.headers


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problem = Problem(error.status_code, str(error.detail), headers=error.headers or {})
    return respond(request, problem)


def _exporter(request: Request, error: Exception) -> Response:
    assert isinstance(error, ExporterError)
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 503)
    headers = {"Retry-After": "30"} if status == 503 else {}
    return respond(request, Problem(status, str(error), anchor=error.docs_anchor, headers=headers))


class LastHandler:
    """Logs what nothing else handled, and answers without any text of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request."""
        started = ended = False

        async def watched(message: Message) -> None:
            nonlocal started, ended
            started = True
            ended = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:  # nobody is left to answer
            return
        except Exception as error:  # broad: this is the last handler
            if scope["type"] != "http":
                raise
            reference = secrets.token_hex(4)
            _log(error, scope, reference)
            if not started:
                await _unexpected(Request(scope), reference)(scope, receive, send)
            elif not ended:
                # The server closes the connection, so that the client sees the loss.
                raise RuntimeError(f"the response ended early, see error {reference}") from None


def _unexpected(request: Request, reference: str) -> Response:
    detail = f"An unexpected error. The log of the service has it as error {reference}."
    return respond(request, Problem(500, detail, anchor="an-unexpected-error"))


def _log(error: Exception, scope: Scope, reference: str) -> None:
    """Log an error; a text of the request cannot begin a line of its own."""
    text = "".join(traceback.format_exception(error))
    indented = "\n".join(f"    {line}" for line in printable_lines(text).splitlines())
    path = printable(str(scope["path"]))
    _LOG.error("error %s, %s %s:\n%s", reference, scope["method"], path, indented)
