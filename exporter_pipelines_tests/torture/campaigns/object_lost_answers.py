"""A proxy loses answers, cuts, throttles and delays each request of an export into a bucket."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores.objects import connection
from exporter_pipelines_tests.support.bucket_days import damage, open_bucket
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.http_proxy import HttpProxy, Request, http_proxy
from exporter_pipelines_tests.support.object_servers import ObjectServer
from exporter_pipelines_tests.torture.attempts import DAY
from exporter_pipelines_tests.torture.buckets import SmallDay, servers
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

    def run(self, share: float) -> None:
        """Both a replacement, and the first export of a new output."""
        points = [(fate, True) for fate in ONCE] + [(fate, False) for fate in FROM_THEN_ON]
        plan = [
            (fate, once, number, is_new)
            for is_new, requests in ((False, 16), (True, 40))
            for fate, once in points
            for number in range(1, requests)
        ]
        for at in self._trial.rounds(len(plan), f"faults, {self._name}", share=share):
            fate, once, number, is_new = plan[at]
            server = self._server.below(f"new-{at}") if is_new else self._server
            (self._once if once else self._from_then_on)(server, fate, number)

    def _once(self, server: ObjectServer, fate: str, number: int) -> None:
        what = f"{self._name}: request {number} is {fate}"
        error = self._publish(server, lambda r: fate if r.number == number else "pass")
        part = f"{fate} once"
        self._trial.check(error is None, f"{what}: {error!r}", part=part)
        found = damage(open_bucket(server), DAY)
        self._trial.check(not found, f"{what}: {found}", part=part, points=0)

    def _from_then_on(self, server: ObjectServer, fate: str, number: int) -> None:
        what = f"{self._name}: from request {number} on all are {fate}"
        error = self._publish(server, lambda r: fate if r.number >= number else "pass")
        part = f"{fate} from then on"
        is_clear = error is None or isinstance(error, OutputUnavailableError)
        self._trial.check(is_clear, f"{what}: {error!r}", part=part)
        if error is not None:
            text = "".join(traceback.format_exception(error))
            self._trial.check("127.0.0.1" not in text, f"{what}: {text}", part="no addresses")
        found = damage(open_bucket(server), DAY, view=False)
        self._trial.check(not found, f"{what}: {found}", part=part, points=0)

    def _publish(self, server: ObjectServer, fate: Callable[[Request], str]) -> Exception | None:
        store = open_bucket(server)
        self._proxy.forget()
        self._proxy.fate = fate
        try:
            self._day.publish(store)
        except Exception as error:
            return error
        finally:
            self._proxy.fate = lambda _request: "pass"
        return None
