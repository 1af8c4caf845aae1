"""A proxy loses answers, cuts, throttles and delays each request of an export into a bucket."""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores.objects import connection
from exporter_pipelines.stores.objects.store import ObjectStore
from exporter_pipelines_tests.support.bucket_days import damage, open_bucket
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.http_proxy import HttpProxy, Request, http_proxy
from exporter_pipelines_tests.support.object_servers import ObjectServer
from exporter_pipelines_tests.torture.attempts import DAY
from exporter_pipelines_tests.torture.buckets import SmallDay, publisher, servers
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.readers import Variants
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.BUCKETS

ONCE = ("lost", "cut", "busy", "throttled", "half", "slow")
"""What happens to one request; the export must succeed."""
FROM_THEN_ON = ("cut", "lost", "busy")
"""What happens to all further requests; the export must fail with one clear error."""


def run(trial: Trial) -> None:
    """Each fate of each request, for each server."""
    connection._RETRIES["max_retries"] = 1  # so that a store that stays away is given up soon
    with servers(trial) as running, trial.backend() as backend:
        variants = Variants(trial, backend, 100)
        share = 1 / len(running)
        for name, server in running.items():
            parts = urlsplit(server.endpoint)
            with http_proxy(f"{parts.scheme}://{parts.netloc}") as proxy:
                output = replace(server, endpoint=proxy.url + parts.path).below("answers")
                export(variants.url, dataset(**variants.changes("a")), DAY, open_bucket(output))
                _Faults(trial, proxy, output, name).run(share)
            share = 1


class _Faults:
    def __init__(self, trial: Trial, proxy: HttpProxy, server: ObjectServer, name: str) -> None:
        self._trial, self._proxy, self._server, self._name = trial, proxy, server, name
        self._day = SmallDay(open_bucket(server))
        self._made = 0

    def run(self, share: float) -> None:
        """Both a replacement, and the first export of a new output."""
        points = [(fate, True) for fate in ONCE] + [(fate, False) for fate in FROM_THEN_ON]
        plan = [
            (fate, once, number, is_new)
            for is_new, requests in [(each, self._requests(each)) for each in (False, True)]
            for fate, once in points
            for number in range(1, requests + 1)
        ]
        for at in self._trial.rounds(len(plan), f"faults, {self._name}", share=share):
            fate, once, number, is_new = plan[at]
            server = self._server.below(f"new-{at}") if is_new else self._server
            if once:
                self._once(server, fate, number)
            else:
                self._from_then_on(server, fate, number, is_new=is_new)

    def _requests(self, is_new: bool) -> int:
        """How many requests an export makes."""
        server = self._server.below("new") if is_new else self._server
        error = self._publish(server, secrets.token_hex(8), lambda _request: "pass")
        assert error is None, error
        number = self._made
        kind = "a first" if is_new else "a replacing"
        self._trial.figures[f"{self._name}: requests of {kind} export"] = number
        return number

    def _once(self, server: ObjectServer, fate: str, number: int) -> None:
        what = f"{self._name}: request {number} is {fate}"
        run = secrets.token_hex(8)
        error = self._publish(server, run, lambda r: fate if r.number == number else "pass")
        store = open_bucket(server)
        found = repr(error) if error else _not_published_by(run, store) or damage(store, DAY)
        self._checked(not found, f"{what}: {found}", f"{fate} once", number)

    def _from_then_on(self, server: ObjectServer, fate: str, number: int, *, is_new: bool) -> None:
        """The export fails with a clear error, or it was published before."""
        what = f"{self._name}: from request {number} on all are {fate}"
        run = secrets.token_hex(8)
        error = self._publish(server, run, lambda r: fate if r.number >= number else "pass")
        part, store = f"{fate} from then on", open_bucket(server)
        found = _not_published_by(run, store) if error is None else ""
        if error is not None and not isinstance(error, OutputUnavailableError):
            found = repr(error)
        absent = is_new and error is not None
        found = found or damage(store, DAY, view=False, may_be_absent=absent)
        self._checked(not found, f"{what}: {found}", part, number)
        if error is not None:
            text = "".join(traceback.format_exception(error))
            self._trial.check("127.0.0.1" not in text, f"{what}: {text}", part="no addresses")

    def _checked(self, good: bool, what: str, part: str, number: int) -> None:
        """Only a request that was made is a point: some exports make fewer."""
        self._trial.check(good, what, part=part, points=int(number <= self._made))

    def _publish(
        self, server: ObjectServer, run: str, fate: Callable[[Request], str]
    ) -> Exception | None:
        store = open_bucket(server)
        self._proxy.forget()
        self._proxy.fate = fate
        try:
            self._day.publish(store, run)
        except Exception as error:
            return error
        finally:
            self._made = len(self._proxy.requests)
            self._proxy.fate = lambda _request: "pass"
        return None


def _not_published_by(run: str, store: ObjectStore) -> str:
    found = publisher(store)
    return "" if found == run else f"it says that it has published, and {found} has"
