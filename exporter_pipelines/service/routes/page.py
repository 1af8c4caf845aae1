"""The exports page: `/exports`, a page for each export, and the forms on them.

For people who do not think in partitions. Forms work without a script, and lead to a page that can
be loaded again. The role is a parameter before the form: who may not send it does not learn its
fields.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset_name import DATASET_NAME
from exporter_pipelines.contracts.training_set import SPLITS
from exporter_pipelines.engine.stage import DEFAULT_BATCH_ROWS
from exporter_pipelines.errors import UnknownNameError
from exporter_pipelines.service import held_days, training_builds
from exporter_pipelines.service.context import context_of
from exporter_pipelines.service.exports import exports_of
from exporter_pipelines.service.history import HistoryQuery, history_of
from exporter_pipelines.service.models import ExportPage, Preview, RerunRequest
from exporter_pipelines.service.page import views
from exporter_pipelines.service.page.filters import filter_of
from exporter_pipelines.service.page.forms import ExportForm, Fields, text_of
from exporter_pipelines.service.page.rendering import page
from exporter_pipelines.service.passed_requests import audit_details
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.problems import Problem
from exporter_pipelines.service.roles import needs
from exporter_pipelines.service.routes.datasets import exportable_days
from exporter_pipelines.service.routes.parameters import exported_dataset
from exporter_pipelines.service.training_sets import training_sets

router = APIRouter(prefix="/exports", include_in_schema=False)
Viewer = Annotated[Principal, needs("viewer")]
Exporter = Annotated[Principal, needs("exporter")]
Operator = Annotated[Principal, needs("operator")]
SetName = Annotated[str, Path(pattern=DATASET_NAME)]
ExportId = Annotated[str, Path(max_length=100)]

_ROWS = 25
_MOST_ROWS = 1_000
_CARDS = 4
_MESSAGES = {
    "kept": "The published export is kept.",
    "cancelled": "The export is being cancelled. Published days stay published.",
}


@router.get("")
def exports(request: Request, _: Viewer) -> Response:
    """The page with its four parts: start, status, history and numbers."""
    form = ExportForm.empty(exportable_days()[1])
    return _exports_page(request, form)


@router.post("")
def start(request: Request, principal: Exporter, fields: Fields) -> Response:
    """Start an export, and go to its page."""
    form = ExportForm.of(fields)
    try:
        wanted = form.request()
        started = exports_of(request).start(
            wanted, principal, key=form.idempotency_key, source="page"
        )
    except ValidationError as error:
        return _exports_page(request, form.with_mistakes(error), status=422)
    except Problem as problem:
        return _exports_page(request, form.with_mistakes(problem), status=problem.status)
    return _to_export(request, started.export.id)


@router.post("/preview")
def preview(request: Request, _: Viewer, fields: Fields) -> Response:
    """The form again, with the rows of each day that it asks for."""
    form = ExportForm.of(fields)
    try:
        found = exports_of(request).preview(form.request())
    except ValidationError as error:
        return _exports_page(request, form.with_mistakes(error), status=422)
    except Problem as problem:
        return _exports_page(request, form.with_mistakes(problem), status=problem.status)
    return _exports_page(request, form, preview=found)


@router.post("/training-sets/{name}/builds")
def build(request: Request, name: SetName, principal: Exporter, fields: Fields) -> Response:
    """Build a training set, and go back to the list, which shows the build."""
    context, launcher = context_of(request), exports_of(request).launcher(principal)
    training_builds.start(context, launcher, name, principal, text_of(fields, "key")[:100])
    return RedirectResponse(context.url("/exports#training"), 303)


@router.post("/held/keep")
def keep(request: Request, _: Operator, fields: Fields) -> Response:
    """Keep the published export of a held day."""
    dataset, day = _decided(request, fields)
    audit_details(request)["kept"] = f"{dataset} {day}"
    held_days.keep(context_of(request), dataset, day)
    return _to_export(request, text_of(fields, "export"), "kept")


@router.post("/held/accept")
def accept(request: Request, principal: Operator, fields: Fields) -> Response:
    """Export a held day again although its source has lost rows."""
    dataset, day = _decided(request, fields)
    audit_details(request)["loss_accepted"] = f"{dataset} {day}"
    started = held_days.accept_loss(
        context_of(request), exports_of(request), principal, dataset, day
    )
    return _to_export(request, started.export.id)


@router.get("/{export_id}")
def export(request: Request, export_id: ExportId, _: Viewer, done: str = "") -> Response:
    """One export with all its days."""
    context, found = context_of(request), exports_of(request).get(export_id)
    return page(
        request,
        "export.html",
        **_shared(request),
        most_rows=_MOST_ROWS,
        card=views.card_of(context, found),
        why_waiting=found.why_waiting,
        message=_MESSAGES.get(done, ""),
        downloads=views.downloads_of(context, found),
    )


@router.post("/{export_id}/cancel")
def cancel(request: Request, export_id: ExportId, principal: Exporter) -> Response:
    """Cancel an export, and go to its page."""
    found = exports_of(request).cancel(export_id, principal)
    return _to_export(request, found.id, "cancelled")


@router.post("/{export_id}/rerun")
def rerun(request: Request, export_id: ExportId, principal: Exporter) -> Response:
    """Export the held and failed days of an export again."""
    started = exports_of(request).rerun(export_id, RerunRequest(), principal, source="page")
    return _to_export(request, started.export.id)


def _decided(request: Request, fields: Fields) -> tuple[str, dt.date]:
    """Dataset and day of a decision that was confirmed.

    Raises:
        Problem: 422 if it was not, or the day is none.
        UnknownNameError: there is no such dataset.
    """
    _, dataset = exported_dataset(request, text_of(fields, "dataset"))
    if text_of(fields, "confirm") != "yes":
        raise Problem(422, "Confirm what you want to do: check the box before the button.")
    try:
        return dataset, dt.date.fromisoformat(text_of(fields, "day"))
    except ValueError:
        raise Problem(422, "Write the day as YYYY-MM-DD.") from None


def _to_export(request: Request, export_id: str, done: str = "") -> Response:
    """303: loading the page again sends nothing again."""
    path = context_of(request).url(f"/exports/{quote(export_id, safe='')}".rstrip("/"))
    return RedirectResponse(f"{path}?done={done}" if done else path, 303)


def _exports_page(
    request: Request, form: ExportForm, *, preview: Preview | None = None, status: int = 200
) -> Response:
    context = context_of(request)
    wanted = filter_of(request)
    first_day, last_day = exportable_days()
    query = HistoryQuery() if wanted.problem else wanted.query
    cursor = None if wanted.problem else wanted.cursor or None
    try:
        history = history_of(request).page(query, limit=_ROWS, cursor=cursor)
    except UnknownNameError as error:
        history, wanted = (
            ExportPage(items=[], next_cursor=None),
            replace(wanted, problem=str(error)),
        )
    is_newest = query == HistoryQuery() and not cursor
    newest = history if is_newest else history_of(request).page(HistoryQuery(), limit=_ROWS)
    cards, more = _cards(request, newest)
    sets = training_sets(context)
    return page(
        request,
        "exports.html",
        status,
        **_shared(request),
        form=form,
        choices=views.choices(context),
        first_day=first_day,
        last_day=last_day,
        timezone=settings.timezone(),
        default_batch_rows=DEFAULT_BATCH_ROWS,
        preview=preview,
        cards=cards,
        why_waiting=next(filter(None, (card.export.why_waiting for card in cards)), None),
        more_live=more,
        history=history,
        filter=wanted.query,
        filter_problem=wanted.problem,
        is_filtered=wanted.is_set,
        query=urlencode(wanted.parameters),
        cursor=wanted.cursor,
        downloads=lambda each: views.downloads(context, each),
        sets=sets,
        builds=training_builds.newest_builds(context, [each.name for each in sets]),
        splits=SPLITS,
        metrics=request.app.state.recent_metrics.of(query, newest.items),
        charts=views.charts(context),
    )


def _cards(request: Request, newest: ExportPage) -> tuple[list[views.Card], int]:
    """The exports that have not ended, at most four of them, and how many more there are."""
    live = [each for each in newest.items if each.status in views.LIVE]
    exports, context = exports_of(request), context_of(request)
    cards = [views.card_of(context, exports.get(each.id)) for each in live[:_CARDS]]
    return cards, len(live) - len(cards)


def _shared(request: Request) -> dict[str, Any]:
    """What both pages need."""
    return {
        "marks": views.MARKS,
        "sources": views.SOURCES,
        "states": views.STATES,
        "name_of": views.name_of,
        "days_of": views.days_of,
        "duration_of": views.duration_of,
        "reason_not": partial(views.reason_not, read_only=context_of(request).options.read_only),
    }
