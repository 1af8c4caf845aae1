"""The URL of an output in a bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from exporter_pipelines.errors import ConfigurationError

SCHEMES = ("s3", "gs", "az")
"""Amazon S3 and compatible stores, Google Cloud Storage, Azure Blob Storage."""

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,62}")
_SEGMENT = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]*")


@dataclass(frozen=True)
class Location:
    """A bucket, or a container of Azure, and a prefix in it."""

    scheme: str
    bucket: str
    prefix: str

    @classmethod
    def of(cls, url: str) -> Location:
        """Read a URL such as `s3://bucket/prefix`.

        Raises:
            ConfigurationError: it is not such a URL. The message does not have it, because it may
                have credentials.
        """
        try:
            parts = urlsplit(url.strip())
        except ValueError:
            raise _refused("is not a URL") from None
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise _refused(
                "has more than a bucket and a prefix",
                "Remove user, password, `?` and `#`. Credentials come from the environment of the "
                "cloud, such as AWS_ACCESS_KEY_ID or the role of the machine.",
            )
        if parts.scheme not in SCHEMES:
            raise _refused("does not begin with s3://, gs:// or az://")
        if not _BUCKET.fullmatch(parts.netloc):
            raise _refused("has no valid name of a bucket")
        segments = [segment for segment in parts.path.split("/") if segment]
        if not all(map(_SEGMENT.fullmatch, segments)):
            raise _refused("has a prefix with other characters than letters, digits, . _ = -")
        return cls(parts.scheme, parts.netloc, "/".join(segments))

    def uri(self, key: str = "") -> str:
        """The URI of an object or a prefix below the location."""
        return f"{self.scheme}://" + "/".join(filter(None, [self.bucket, self.prefix, key]))

    def __str__(self) -> str:
        return self.uri()


def _refused(problem: str, hint: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"EXPORTER_OUTPUT_URL {problem}.", hint or "Write it as s3://bucket/prefix."
    )
