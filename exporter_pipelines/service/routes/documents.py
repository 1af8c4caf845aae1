"""Pages to read: the documentation, the dataset cards and the export report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.service.context import context_of
from exporter_pipelines.service.files import CARD
from exporter_pipelines.service.models import Day
from exporter_pipelines.service.page.documents import INDEX, html_of, pages, rendered
from exporter_pipelines.service.page.rendering import ASSETS, asset, page
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.problems import Problem
from exporter_pipelines.service.roles import needs
from exporter_pipelines.service.routes.parameters import DatasetPath, exported_dataset

router = APIRouter(include_in_schema=False)
Viewer = Annotated[Principal, needs("viewer")]

_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox allow-same-origin allow-popups allow-downloads"
)
"""The page itself allows only its own style sheet, by its hash. It is a file of the output folder,
which others may write; in the sandbox it cannot lead its reader elsewhere by itself."""
_LARGEST_CARD = 128 * 1024


@router.get("/docs")
def docs_root(request: Request, _: Viewer) -> Response:
    """The links of the index are relative to the folder."""
    return RedirectResponse(context_of(request).url("/docs/"), 308)


@router.get("/docs/")
def docs_index(request: Request, _: Viewer) -> Response:
    """All pages of the documentation."""
    return _document(request, INDEX)


@router.get("/docs/manifest.schema.json")
def manifest_schema(_: Viewer) -> Response:
    """The JSON Schema of manifests."""
    file = pages().get("manifest", Path()).with_name("manifest.schema.json")
    if not file.is_file():
        raise _not_installed()
    return FileResponse(file, media_type="application/schema+json")


@router.get("/docs/{name:path}")
def docs_page(request: Request, name: str, _: Viewer) -> Response:
    """A page of the documentation; also by the name of its file."""
    if name.endswith(".md") and name.removesuffix(".md") in pages():
        return RedirectResponse(context_of(request).url(f"/docs/{name.removesuffix('.md')}"), 308)
    return _document(request, name)


@router.get("/exports/datasets/{dataset}")
def card(request: Request, dataset: DatasetPath, _: Viewer) -> Response:
    """The dataset card as a page."""
    context, dataset = exported_dataset(request, dataset)
    content = context.store.read_dataset_file(dataset, CARD)
    if content is None:
        raise Problem(404, f"{dataset} has no card yet: its first published day writes it.")
    if len(content) > _LARGEST_CARD:
        raise Problem(
            409,
            f"The card of {dataset} is too large to be shown: {len(content):,} bytes. "
            "Export a day again, which writes it again.",
        )
    title, body = html_of(content.decode("utf-8", "replace"))
    trail = ("Exports", context.url("/exports"))
    return page(request, "document.html", title=title, body=body, trail=trail)


@router.get("/exports/report")
def report_root(request: Request, _: Viewer) -> Response:
    """Links in the report are relative to its folder."""
    return RedirectResponse(context_of(request).url("/exports/report/"), 308)


@router.get("/exports/report/")
def report(request: Request, _: Viewer) -> Response:
    """The newest export report."""
    return _report(context_of(request).store.read_report(None))


@router.get("/exports/report/date={day}/")
def report_of_day(request: Request, day: Day, _: Viewer) -> Response:
    """The export report that was rendered for a day."""
    return _report(context_of(request).store.read_report(str(day)))


@router.get("/exports/{dataset}/data/date={day}/{name}")
def file_of_report(
    request: Request, dataset: DatasetPath, day: Day, name: str, _: Viewer
) -> Response:
    """Where the links of the report lead; on disk they lead to the files themselves."""
    context, dataset = exported_dataset(request, dataset)
    part = "manifest" if name == MANIFEST_NAME else f"files/{quote(name, safe='')}"
    path = f"/api/v1/datasets/{dataset}/days/{day}/{part}"
    return RedirectResponse(context.url(path), 307)


@router.get("/exports/assets/{name}")
def static(name: str, _: Viewer) -> Response:
    """Style sheets and the script; their addresses change with their content."""
    if name not in ASSETS:
        raise Problem(404, "There is no such file.")
    headers = {"cache-control": "private, max-age=86400"}
    return Response(asset(name), media_type=ASSETS[name], headers=headers)


def _document(request: Request, name: str) -> Response:
    known = pages()
    if not known:
        raise _not_installed()
    if name not in known:
        raise Problem(404, "There is no such page of the documentation. `/docs/` lists them.")
    title, body = rendered(known[name])
    trail = None if name == INDEX else ("All pages", context_of(request).url("/docs/"))
    return page(request, "document.html", title=title, body=body, trail=trail)


def _not_installed() -> Problem:
    return Problem(404, "The documentation is not installed with this package.")


def _report(content: bytes | None) -> Response:
    if content is None:
        raise Problem(
            404,
            "There is no export report yet. The sensor export_report_sensor renders it after an "
            "export, at most once a minute; it needs the daemon. See docs/report.md.",
        )
    headers = {"content-security-policy": _REPORT_POLICY, "cache-control": "private, no-cache"}
    return HTMLResponse(content, headers=headers)
