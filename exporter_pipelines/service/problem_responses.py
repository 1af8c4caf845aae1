"""Turns every error of the API into a problem document."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from exporter_pipelines.errors import ExporterError
from exporter_pipelines.service.context import context_of
from exporter_pipelines.service.problems import MEDIA_TYPE, FieldError, Problem


def install_problems(api: FastAPI) -> None:
    """Answer with problem documents; FastAPI's own answers are not."""
    api.add_exception_handler(Problem, _problem)
    api.add_exception_handler(RequestValidationError, _validation)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(ExporterError, _exporter)


def respond(request: Request, problem: Problem) -> JSONResponse:
    """The response of a problem."""
    docs = context_of(request).url("/docs/")
    return JSONResponse(
        problem.document(request.url.path, docs), problem.status, problem.headers, MEDIA_TYPE
    )


def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return respond(request, error)


def _validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [_field(each) for each in error.errors()]
    detail = f"{errors[0].pointer}: {errors[0].message}" if errors else "The request is not valid."
    return respond(request, Problem(422, detail, errors=errors))


def _field(error: Mapping[str, object]) -> FieldError:
    location = error["loc"]
    assert isinstance(location, tuple)
    return FieldError("/" + "/".join(str(part) for part in location[1:]), str(error["msg"]))


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return respond(
        request, Problem(error.status_code, str(error.detail), headers=error.headers or {})
    )


def _exporter(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ExporterError)
    return respond(request, Problem(503, str(error), anchor=error.docs_anchor))
