"""HTTP requests to one service: token, retries, and errors as exceptions.

A request is repeated after a lost connection only if repeating it is harmless: it reads, or it
carries an Idempotency-Key, or it was never sent. No redirect is followed, so that the token reaches
no other host.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from exporter_pipelines import __version__
from exporter_pipelines.client.address import checked_address, checked_token
from exporter_pipelines.client.errors import (
    ProblemDocument,
    ServiceUnreachableError,
    UnexpectedAnswerError,
    refusal,
)

Model = TypeVar("Model", bound=BaseModel)

RETRY_S = 5.0
"""How long a request is repeated."""
_LONGEST_PAUSE_S = 5.0
_BUSY = (429, 502, 503, 504)
"""Statuses of a service, or of a proxy before it, that may answer a little later."""
sleep = time.sleep
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Connection:
    """Sends requests to one service; thread-safe, as httpx's client is.

    Args:
        url: Address of the service, with its path prefix.
        token: Sent as a bearer token.
        timeout_s: To connect, and between two parts of an answer.
        allow_http: Whether the token may be sent unencrypted to another machine.
        transport: Replaces the network, as `httpx.ASGITransport` or a transport with a client
            certificate.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        timeout_s: float,
        allow_http: bool,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        token = checked_token(token)
        self.address = checked_address(url, token, allow_http=allow_http)
        headers = {"User-Agent": f"exporter-pipelines/{__version__}", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        is_here = self.address.is_loopback
        # HTTP_PROXY of the environment must not get what is meant for this machine.
        direct = dict.fromkeys(("http://", "https://", "all://")) if is_here else None
        self._http = httpx.Client(
            headers=headers,
            timeout=timeout_s,
            # Shorter than servers keep a connection, so that none is used that they just close.
            limits=httpx.Limits(keepalive_expiry=2.0),
            follow_redirects=False,
            transport=transport,
            mounts=direct,
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def get(self, path: str, model: type[Model], **options: Any) -> Model:
        """Read a resource; `options` are those of `request`."""
        return self.parse(self.request("GET", path, **options), model)

    def post(self, path: str, model: type[Model], **options: Any) -> Model:
        """Send a change; `options` are those of `request`."""
        return self.parse(self.request("POST", path, **options), model)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        timeout_s: float | None = None,
        retry_s: float = RETRY_S,
    ) -> httpx.Response:
        """A response with a status below 300, its body read.

        Args:
            method: Of HTTP.
            path: Below `/api/v1`, quoted.
            params: Of the query; those that are None are left out.
            body: Sent as JSON.
            headers: In addition.
            repeatable: Whether the request may be sent again after a lost connection; by default
                whether it is a GET.
            timeout_s: Instead of that of the connection.
            retry_s: How long to repeat it.

        Raises:
            RequestRefusedError: the service has refused it.
            ServiceUnreachableError: there is no answer.
            UnexpectedAnswerError: the answer is not that of a service.
        """
        request = self._build(method, path, params, body, headers, timeout_s)
        repeatable = method == "GET" if repeatable is None else repeatable
        return self._send(request, repeatable, retry_s, stream=False)

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        retry_s: float = RETRY_S,
    ) -> Iterator[httpx.Response]:
        """A response with a status below 300, whose body the caller reads."""
        raw = {"Accept": "*/*", "Accept-Encoding": "identity", **(headers or {})}
        request = self._build("GET", path, params, None, raw, None)
        response = self._send(request, True, retry_s, stream=True)
        try:
            yield response
        except httpx.RequestError as error:  # within the body
            raise self._lost(error) from None
        finally:
            response.close()

    def parse(self, response: httpx.Response, model: type[Model]) -> Model:
        """The body of a response."""
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = "/".join(map(str, first["loc"])) or "its body"
            raise UnexpectedAnswerError(
                f"The answer of {self.address.url} does not fit {model.__name__}: "
                f"{where}: {first['msg']}.",
                "Is this the address of `exporter serve`, of the same version as this client?",
            ) from None

    def _build(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        timeout_s: float | None,
    ) -> httpx.Request:
        if method != "GET":
            # Also without a body: it shows a service without tokens that no page of another site
            # sends this.
            headers = {"Content-Type": "application/json", **(headers or {})}
        return self._http.build_request(
            method,
            f"{self.address.url}/api/v1{path}",
            params={key: value for key, value in (params or {}).items() if value is not None},
            json=body,
            headers=headers,
            timeout=timeout_s if timeout_s is not None else httpx.USE_CLIENT_DEFAULT,
        )

    def _send(
        self, request: httpx.Request, repeatable: bool, retry_s: float, *, stream: bool
    ) -> httpx.Response:
        """The first response that is no reason to repeat the request."""
        pauses = _Pauses(retry_s)
        while True:
            try:
                response = self._http.send(request, stream=stream)
                if response.status_code < 300:
                    return response
                response.read()
                response.close()
            except httpx.RequestError as error:
                may_repeat = repeatable or isinstance(error, _NEVER_SENT)
                if not (may_repeat and pauses.wait(None)):
                    raise self._lost(error) from None
                continue
            retry_after_s = _retry_after(response)
            may_repeat = repeatable or response.status_code == 429  # refused before any effect
            if not (response.status_code in _BUSY and may_repeat and pauses.wait(retry_after_s)):
                raise self._error(response, retry_after_s)

    def _absolute(self, link: str) -> str:
        """A link in an answer; the service sends paths, since it may not know its address."""
        try:
            return str(httpx.URL(self.address.url).join(link)) if link else ""
        except httpx.InvalidURL:
            return link

    def _lost(self, error: httpx.RequestError) -> ServiceUnreachableError:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        if isinstance(error, httpx.TimeoutException):
            reason = "no answer within the time limit"
        return ServiceUnreachableError(
            f"The service at {self.address.url} cannot be reached: {reason}.",
            "Check the address, and that `exporter serve` runs there.",
        )

    def _error(self, response: httpx.Response, retry_after_s: float | None) -> Exception:
        status = response.status_code
        if 300 <= status < 400:
            target = response.headers.get("location", "")
            return UnexpectedAnswerError(
                f"{self.address.url} redirects to {_without_query(target)}.",
                "No redirect is followed, since the token would go there. If that is the service, "
                "use its address.",
            )
        problem = None
        if "json" in response.headers.get("content-type", ""):
            try:
                problem = ProblemDocument.of(status, response.json(), self._absolute)
            except (ValueError, RecursionError):
                problem = None
        if problem is None:  # a proxy's own page, or another server
            text = f"{self.address.url} answers {status} {response.reason_phrase}."
            hint = "The answer is not that of the service. Check the address and its path prefix."
            problem = ProblemDocument(status, response.reason_phrase, f"{text} {hint}", "", {})
        return refusal(problem, retry_after_s)


class _Pauses:
    """The pauses between attempts: 0.5, 1, 2, 4, 5, 5 s, or what Retry-After says if it is more."""

    def __init__(self, limit_s: float) -> None:
        self._ends, self._left, self._next = time.monotonic() + limit_s, limit_s, 0.5

    def wait(self, asked_s: float | None) -> bool:
        """Pause before the next attempt; False when the time for attempts does not suffice."""
        pause = max(asked_s or 0.0, self._next)
        self._next = min(2 * self._next, _LONGEST_PAUSE_S)
        self._left -= pause
        if self._left < 0 or time.monotonic() + pause > self._ends:
            return False
        sleep(pause)
        return True


def _retry_after(response: httpx.Response) -> float | None:
    """The seconds of the header `Retry-After`, which may also be a date."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def _without_query(url: str) -> str:
    return url.partition("?")[0]
