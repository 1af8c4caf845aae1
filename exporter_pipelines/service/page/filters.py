"""The filter of the history: the query string of the exports page."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request

from exporter_pipelines.service.history import HistoryQuery
from exporter_pipelines.service.models import Day, ExportState, Source

_FIELDS = ("dataset", "status", "source", "user", "from", "to")


class _Values(BaseModel):
    dataset: str | None = Field(default=None, max_length=100)
    status: ExportState | None = None
    source: Source | None = None
    user: str | None = Field(default=None, max_length=200)
    first: Day | None = Field(default=None, alias="from")
    last: Day | None = Field(default=None, alias="to")


@dataclass(frozen=True)
class Filter:
    """What is listed.

    Attributes:
        query: For `History`.
        parameters: The filled fields, for links to other pages of the list.
        cursor: Of the page; empty for the newest.
        problem: Why the filter cannot be used.
    """

    query: HistoryQuery
    parameters: dict[str, str]
    cursor: str = ""
    problem: str = ""

    @property
    def is_set(self) -> bool:
        """Whether anything is left out."""
        return bool(self.parameters)


def filter_of(request: Request) -> Filter:
    """The filter in the address; only the page itself, not its forms, has one."""
    sent = request.query_params if request.method == "GET" else {}
    filled = {name: value for name in _FIELDS if (value := sent.get(name, "").strip())}
    cursor = sent.get("cursor", "")[:200]
    try:
        found = _Values.model_validate(filled)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        return Filter(HistoryQuery(), {}, problem=f"The filter {name} cannot have this value.")
    if found.first and found.last and found.last < found.first:
        problem = f"The last day {found.last} is before the first day {found.first}."
        return Filter(HistoryQuery(), filled, problem=problem)
    query = HistoryQuery(
        found.dataset, found.status, found.user, found.source, found.first, found.last
    )
    return Filter(query, filled, cursor)
