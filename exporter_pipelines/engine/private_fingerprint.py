"""The fingerprint of a day's source rows as it is stored.

It is a hash of the row count and the largest key. The largest key of a day may be an IP address,
which a hash does not hide: all of IPv4 is tried in an hour. So under a privacy policy it is hashed
again, with the key of the policy.
"""

from __future__ import annotations

import hashlib
import hmac

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.extras import require

_DIGITS = 32


def stored_fingerprint(dataset: Dataset, fingerprint: str) -> str:
    """The fingerprint to store and to compare; without a policy it is the same.

    Raises:
        ConfigurationError: the key of the policy is missing.
    """
    policy = dataset.config.privacy
    if policy is None:
        return fingerprint
    require("privacy")
    from exporter_pipelines.privacy.keys import KeyRing, master_key

    master = master_key(policy.key, settings.privacy_key(policy.key))
    key = KeyRing(master, f"dataset:{dataset.name}", "none").key("fingerprint")
    return hmac.new(key, fingerprint.encode(), hashlib.sha256).hexdigest()[:_DIGITS]
