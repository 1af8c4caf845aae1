"""The forms of the exports page: what a browser sends, as a request of the API.

A form without a script sends `application/x-www-form-urlencoded`. Mistakes are shown at their
fields, with everything else as it was filled in.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request
from pydantic import ValidationError

from exporter_pipelines.errors import printable
from exporter_pipelines.service.models import ExportRequest
from exporter_pipelines.service.problems import Problem

_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 200
_ASKED = {
    "datasets": "Choose at least one dataset.",
    "start_date": "Choose the first day.",
    "end_date": "Choose the last day.",
    "batch_rows": "Write a whole number from 1,000 to 500,000, or nothing.",
    "title": "Write at most 200 characters.",
}


async def _fields(request: Request) -> dict[str, list[str]]:
    """The fields of a form.

    Raises:
        Problem: 415 for another kind of body, 400 for one that is no form.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise Problem(415, f"Send the form as {_TYPE}.")
    try:
        return parse_qs((await request.body()).decode(), True, True, max_num_fields=_MOST_FIELDS)
    except ValueError:  # also UnicodeDecodeError
        raise Problem(400, "The form cannot be read.") from None


Fields = Annotated[dict[str, list[str]], Depends(_fields)]


def text_of(fields: Mapping[str, Sequence[str]], name: str) -> str:
    """A field with one value; empty if it is missing."""
    return (fields.get(name) or [""])[0].strip()


@dataclass(frozen=True)
class ExportForm:
    """The form as its user sees it.

    Attributes:
        datasets, only: Chosen names.
        start_date, end_date, batch_rows, title: As written.
        key: Keeps a form that is sent twice from starting two exports.
        mistakes: Field -> message; under "" about the whole form.
    """

    datasets: Sequence[str] = ()
    start_date: str = ""
    end_date: str = ""
    only: Sequence[str] = ()
    batch_rows: str = ""
    title: str = ""
    key: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    mistakes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, fields: Mapping[str, Sequence[str]]) -> ExportForm:
        """The form that was sent."""
        return cls(
            datasets=fields.get("datasets", ()),
            start_date=text_of(fields, "start_date"),
            end_date=text_of(fields, "end_date"),
            only=fields.get("only", ()),
            batch_rows=text_of(fields, "batch_rows"),
            title=text_of(fields, "title"),
            key=text_of(fields, "key") or secrets.token_urlsafe(16),
        )

    @classmethod
    def empty(cls, last_day: dt.date | None) -> ExportForm:
        """The form before anything is filled in: the newest day."""
        day = str(last_day or "")
        return cls(start_date=day, end_date=day)

    def request(self) -> ExportRequest:
        """The request that the form describes.

        Raises:
            ValidationError: a field is wrong.
        """
        return ExportRequest.model_validate({
            "datasets": list(self.datasets),
            "start_date": self.start_date,
            "end_date": self.end_date,
            "only": list(self.only),
            "batch_rows": self.batch_rows or None,
            "title": printable(self.title) or None,
        })  # fmt: skip

    @property
    def idempotency_key(self) -> str:
        """The same for the same form with the same content, so that a changed one is new."""
        content = repr((self.datasets, self.start_date, self.end_date, self.only, self.batch_rows))
        return f"{self.key[:64]}-{sha256((content + self.title).encode()).hexdigest()[:32]}"

    def with_mistakes(self, error: ValidationError | Problem) -> ExportForm:
        """The form with the mistakes at its fields, to be sent again."""
        found: dict[str, str] = {}
        if isinstance(error, Problem):
            for each in error.errors:
                name = each.pointer.lstrip("/").partition("/")[0]
                found[name] = f"{found[name]} {each.message}" if name in found else each.message
            if not found:
                found[""] = error.detail
        else:
            for mistake in error.errors(include_input=False, include_url=False):
                name = str(mistake["loc"][0])
                found[name] = _ASKED.get(name, "This value is not possible.")
        return ExportForm(
            self.datasets, self.start_date, self.end_date, self.only, self.batch_rows, self.title,
            mistakes=found,
        )  # fmt: skip
