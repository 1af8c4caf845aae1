"""Errors of the API as problem documents (RFC 9457), with a link to docs/failures.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class FieldError:
    """A mistake in one field: a JSON pointer as `/datasets/0`, and one sentence."""

    pointer: str
    message: str


class Problem(Exception):  # noqa: N818 - the name of RFC 9457
    """Raised by any code of the service to answer with a problem document.

    Args:
        status: The HTTP status.
        detail: What happened, with which value, and what to do next.
        anchor: Heading in docs/failures.md.
        errors: Mistakes by field, for 422.
        headers: Of the response, as `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        anchor: str = "a-request-is-refused",
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.anchor = status, detail, anchor
        self.errors, self.headers = tuple(errors), dict(headers or {})

    def document(self, instance: str, docs_url: str) -> dict[str, Any]:
        """The body of the response."""
        document: dict[str, Any] = {
            "type": f"{docs_url}failures#{self.anchor}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
        }
        if self.errors:
            document["errors"] = [vars(error) for error in self.errors]
        return document
