"""Turns errors of obstore into errors that a user can act on.

The text of such an error may hold a signed URL, an account, a request id or a header. So it is
never shown: it is only searched for what went wrong, and the message is written here.
"""

from __future__ import annotations

import re

from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores.objects.location import Location

_CREDENTIALS = (
    "Credentials come from the environment of the cloud: AWS_ACCESS_KEY_ID, "
    "AZURE_STORAGE_ACCOUNT_KEY, GOOGLE_APPLICATION_CREDENTIALS, or the role of the machine. "
    "`exporter doctor` tests them."
)
_LATER = "Run the day again later. The published export was not changed."
_REFUSED = (
    (r"169\.254\.|metadata\.google|no credential|missing credential|not.{0,20}credential",
     "no credentials were found", _CREDENTIALS),
    (r"nosuchbucket|containernotfound|bucket does not exist|bucketnotfound",
     "the bucket does not exist", "Create it, or correct EXPORTER_OUTPUT_URL."),
    (r"signature|invalidaccesskeyid|authenticationfailed|expiredtoken|\b401\b|unauthenticated",
     "the credentials were refused", _CREDENTIALS),
    (r"accessdenied|\b403\b|permission|forbidden",
     "access was denied", "Give these credentials the permissions in docs/object-stores.md."),
    (r"permanentredirect|\b301\b|authorizationheadermalformed",
     "the bucket is in another region", "Set AWS_REGION to the region of the bucket."),
)  # fmt: skip
_FAILED = (
    (r"slowdown|\b429\b|\b503\b|too many requests|serverbusy",
     "the store asked for fewer requests, and still did after several attempts", _LATER),
    (r"\b5\d\d\b|server error",
     "the server reported an error, also in further attempts", _LATER),
    (r"timed out|timeout|deadline",
     "it did not answer in time", _LATER),
    (r"dns|resolve|connection refused|connect error|tcp connect",
     "it cannot be reached", "Check the network, the bucket and EXPORTER_OUTPUT_ENDPOINT."),
    (r"connection|incomplete|broken pipe|reset|closed|body|sending request",
     "the connection was lost, also in further attempts", _LATER),
)  # fmt: skip


class BucketRefusedError(OutputUnavailableError):
    """The store refused a request, and would refuse it again; nothing was written."""


def no_bucket(location: Location, key: str) -> BucketRefusedError:
    """The error of a write that finds nothing to write to."""
    return BucketRefusedError(
        f"Cannot write {location.uri(key)}: the bucket does not exist.",
        "Create it, or correct EXPORTER_OUTPUT_URL.",
    )


def unavailable(
    error: BaseException, location: Location, verb: str, key: str
) -> OutputUnavailableError:
    """The error that tells the user about a failed request; raise it outside of the `except` block.

    Otherwise the original error would be its context, and logged with it.
    """
    # obstore tells its limits as well: `retry_timeout: 60s`.
    text = f"{type(error).__name__} {error}".lower().replace("retry_timeout", "")
    for name in (key, location.prefix, location.bucket):  # a name may have a word of a reason
        text = text.replace(name.lower(), "") if name else text
    for kind, reasons in ((BucketRefusedError, _REFUSED), (OutputUnavailableError, _FAILED)):
        for pattern, reason, hint in reasons:
            if re.search(pattern, text):
                return kind(f"Cannot {verb} {location.uri(key)}: {reason}.", hint)
    failed = f"the request failed ({type(error).__name__})"
    return OutputUnavailableError(f"Cannot {verb} {location.uri(key)}: {failed}.", _LATER)
