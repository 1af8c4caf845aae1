"""Parameters that several routes have, with their checks."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import Path
from starlette.requests import Request

from exporter_pipelines.contracts.dataset_name import DATASET_NAME
from exporter_pipelines.contracts.day_window import days_between
from exporter_pipelines.service.context import ServiceContext, context_of
from exporter_pipelines.service.models import Day
from exporter_pipelines.service.problems import FieldError, Problem

MOST_DAYS = 366

DayPath = Annotated[Day, Path(description="`YYYY-MM-DD`, in EXPORTER_TIMEZONE.")]
DatasetPath = Annotated[
    str, Path(description="Name of a dataset or preset.", pattern=DATASET_NAME, max_length=63)
]


def exported_dataset(request: Request, dataset: str) -> tuple[ServiceContext, str]:
    """The context, and the name of a dataset that is defined or has published days.

    Raises:
        UnknownNameError: there is none of this name; the message lists the names.
    """
    context = context_of(request)
    context.require_dataset(dataset)
    return context, dataset


def days_of_range(first: dt.date, last: dt.date, most: int = MOST_DAYS) -> list[str]:
    """All days, both ends included.

    Raises:
        Problem: 422 if the last day is before the first, or there are more than `most` days.
    """
    if last < first:
        raise wrong("end_date", f"The last day {last} is before the first day {first}.")
    if (last - first).days >= most:
        raise wrong("end_date", f"{first} to {last} are more than {most} days.")
    return days_between(str(first), str(last))


def wrong(field: str, message: str) -> Problem:
    """The problem of one wrong field."""
    return Problem(422, f"/{field}: {message}", errors=[FieldError(f"/{field}", message)])
