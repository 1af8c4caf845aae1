"""Training sets: what there is, and downloads of their files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from exporter_pipelines.contracts.dataset_name import DATASET_NAME
from exporter_pipelines.service import training_builds as builds
from exporter_pipelines.service import training_sets as sets
from exporter_pipelines.service.context import context_of
from exporter_pipelines.service.documented_responses import documented
from exporter_pipelines.service.exports import exports_of
from exporter_pipelines.service.models import TrainingSet, TrainingSetBuild, TrainingSets
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.roles import needs
from exporter_pipelines.service.routes.download_response import DOCUMENTED, send
from exporter_pipelines.service.routes.exports import Key

router = APIRouter(prefix="/api/v1/training-sets", tags=["training sets"])
Viewer = Annotated[Principal, needs("viewer")]
Exporter = Annotated[Principal, needs("exporter")]
Name = Annotated[str, Path(description="Name of a training set.", pattern=DATASET_NAME)]


@router.get("", responses=documented(503))
def training_sets(request: Request, _: Viewer) -> TrainingSets:
    """All training sets with their newest version."""
    return TrainingSets(items=sets.training_sets(context_of(request)))


@router.get("/{name}", responses=documented(404, 503))
def training_set(request: Request, name: Name, _: Viewer) -> TrainingSet:
    """One training set with its newest version."""
    return sets.training_set(context_of(request), name)


@router.post("/{name}/builds", status_code=202, responses=documented(404, 409, 503))
def build(
    request: Request, response: Response, name: Name, principal: Exporter, key: Key = ""
) -> TrainingSetBuild:
    """Build a training set from the days that are published now."""
    launcher = exports_of(request).launcher(principal)
    started = builds.start(context_of(request), launcher, name, principal, key)
    response.headers["Location"] = started.links.self
    return started


@router.get("/{name}/builds/{build_id}", responses=documented(404, 503))
def build_status(
    request: Request,
    name: Name,
    build_id: Annotated[
        str, Path(description="Of a build, or of a Dagster run.", pattern="^[A-Za-z0-9_-]{1,100}$")
    ],
    _: Viewer,
) -> TrainingSetBuild:
    """A build as it is now."""
    return builds.build_of(context_of(request), name, build_id)


@router.head("/{name}/files/{path:path}", include_in_schema=False)
@router.get(
    "/{name}/files/{path:path}",
    response_class=Response,
    responses=documented(404, 409, 416, 503, more=DOCUMENTED),
)
def file(
    request: Request,
    name: Name,
    path: Annotated[
        str,
        Path(
            description="A path of `splits`, _manifest.json, or another file that it names, such "
            "as README.md and croissant.json.",
            pattern="^[A-Za-z0-9._/-]{1,255}$",
        ),
    ],
    _: Viewer,
) -> Response:
    """A file of the newest version; ranges and conditions as for data files."""
    return send(request, sets.file_of(context_of(request), name, path))
