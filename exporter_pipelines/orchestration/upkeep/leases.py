"""Which runs of other hosts have stopped renewing their lease.

Clocks of two hosts are not compared. The sensor remembers at which time of its own monotonic clock
it first saw a lease, and a lease that is not renewed for `EXPIRED_SECONDS` after that has ended.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

from exporter_pipelines.orchestration.exports.run_presence import Presence, this_host

EXPIRED_SECONDS = 240.0
"""Four renewals. With the intervals of the sensor, a killed run ends within six minutes."""
_LONGEST_GAP_SECONDS = 150.0
"""If the sensor did not tick for longer than this, Dagster's storage may have been away, and the
runs could not renew their leases either. The observation then begins again."""


@dataclass
class Leases:
    """What the sensor has seen of leases.

    Attributes:
        before: Run id -> the lease, and when it was first seen; from earlier ticks.
        seen: The same of this tick.
        now: This host's monotonic clock.
    """

    before: dict[str, tuple[int, float]] = field(default_factory=dict)
    seen: dict[str, tuple[int, float]] = field(default_factory=dict)
    now: float = field(default_factory=time.monotonic)

    @classmethod
    def from_text(cls, text: str) -> Leases:
        """What an earlier tick saw; nothing if it was too long ago, or on another host or boot."""
        leases = cls()
        stored = json.loads(text or "{}")
        same_clock = stored.get("clock") == list(this_host())
        if same_clock and leases.now - stored["at"] <= _LONGEST_GAP_SECONDS:
            leases.before = {run_id: (lease, since) for run_id, lease, since in stored["seen"]}
        return leases

    def to_text(self) -> str:
        """For the next tick."""
        seen = [[run_id, lease, since] for run_id, (lease, since) in self.seen.items()]
        return json.dumps({"clock": this_host(), "at": self.now, "seen": seen})

    def has_expired(self, run_id: str, presence: Presence) -> bool:
        """Whether a run has not renewed its lease for `EXPIRED_SECONDS`."""
        lease, since = self.before.get(run_id, (-1, self.now))
        if lease != presence.renewals:
            since = self.now
        self.seen[run_id] = (presence.renewals, since)
        return self.now - since >= EXPIRED_SECONDS
