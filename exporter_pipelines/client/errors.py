"""What a client raises: the service is away, or it has refused a request and says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exporter_pipelines.errors import ExporterError


class ServiceUnreachableError(ExporterError):
    """The service does not answer, or the connection was lost and retries did not help."""

    retryable = True
    docs_anchor = "the-service-cannot-be-reached"


class UnexpectedAnswerError(ExporterError):
    """Whatever answers at this address is not the service, or a service of another version."""

    docs_anchor = "the-service-cannot-be-reached"


class DownloadError(ExporterError):
    """A file could not be downloaded completely, or its content is not the published one."""

    docs_anchor = "a-download-fails"


@dataclass(frozen=True)
class ProblemDocument:
    """The body of an error response (RFC 9457).

    Attributes:
        status: HTTP status.
        title: Its name.
        detail: What happened, and what to do next.
        type: Link to the entry in docs/failures.md.
        errors: Pointer of a field -> its mistake.
    """

    status: int
    title: str
    detail: str
    type: str
    errors: dict[str, str]

    @classmethod
    def of(cls, status: int, body: Any, absolute: Callable[[str], str]) -> ProblemDocument | None:
        """Read a decoded body; None when it is not a problem document."""
        if not isinstance(body, dict) or not isinstance(body.get("detail"), str):
            return None
        errors = body.get("errors")
        listed = errors if isinstance(errors, list) else []
        fields = [each for each in listed if isinstance(each, dict)]
        return cls(
            status,
            str(body.get("title", "")),
            body["detail"],
            absolute(str(body.get("type", ""))),
            {str(each.get("pointer")): str(each.get("message")) for each in fields},
        )


class RequestRefusedError(ExporterError):
    """The service has refused a request.

    Attributes:
        problem: The service's own words.
        status: HTTP status.
        retry_after_s: When to try again; None when the service does not say.
    """

    docs_anchor = "a-request-is-refused"

    def __init__(self, problem: ProblemDocument, retry_after_s: float | None = None) -> None:
        others = [f"{at}: {text}" for at, text in problem.errors.items()]
        more = [line for line in others if line not in problem.detail]
        super().__init__(problem.detail, " ".join(more))
        self.problem, self.status, self.retry_after_s = problem, problem.status, retry_after_s


class InvalidRequestError(RequestRefusedError):
    """A value in the request is wrong (400, 413, 416, 422)."""


class TokenRefusedError(RequestRefusedError):
    """The token is missing, wrong, expired or revoked (401)."""


class RoleMissingError(RequestRefusedError):
    """The token's role does not allow the request (403)."""


class UnknownResourceError(RequestRefusedError):
    """The export, dataset, day or file does not exist (404)."""


class StateConflictError(RequestRefusedError):
    """The state does not allow the request, such as to cancel an ended export (409)."""


class TooManyRequestsError(RequestRefusedError):
    """The service has a limit, and it was reached (429)."""

    retryable = True


class ServiceFailedError(RequestRefusedError):
    """The service, or a system that it needs, does not work at the moment (5xx)."""

    retryable = True


_BY_STATUS: dict[int, type[RequestRefusedError]] = {
    400: InvalidRequestError,
    401: TokenRefusedError,
    403: RoleMissingError,
    404: UnknownResourceError,
    409: StateConflictError,
    413: InvalidRequestError,
    416: InvalidRequestError,
    422: InvalidRequestError,
    429: TooManyRequestsError,
}


def refusal(problem: ProblemDocument, retry_after_s: float | None) -> RequestRefusedError:
    """The exception for a problem document."""
    default = ServiceFailedError if problem.status >= 500 else RequestRefusedError
    return _BY_STATUS.get(problem.status, default)(problem, retry_after_s)
