"""The ADBC driver that reads PostgreSQL: that of the Python package, or a file that a user names.

The driver does not report its version through ADBC (`get_info` answers `unknown`), and it would
need a connection to answer. So the version is read from the file: the linker writes the name and
the version of a shared library into it (SONAME; for macOS install name), such as
`libadbc_driver_postgresql.so.113` for 1.13. A file is therefore refused before it is loaded.

Belongs here: which file is the driver, and whether it may be used.
Does not belong here: connecting (`connection`), and reading the setting (`settings`).
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import adbc_driver_postgresql

from exporter_pipelines.errors import ConfigurationError

SETTING = "EXPORTER_POSTGRES_DRIVER"
ENTRYPOINT = "AdbcDriverPostgresqlInit"

_NAME = "libadbc_driver_postgresql"
_OLDEST = (1, 11)
_SONAME = re.compile(_NAME.encode() + rb"(?:\.so)?\.(\d{1,4})(?:\.dylib)?\0")
_HINT = (
    f"Write the absolute path of a {_NAME} of version 1.11 or newer, or remove the setting: the "
    "driver of the Python package is then used."
)


@dataclass(frozen=True)
class Driver:
    """A driver that may be used.

    Attributes:
        path: Of its file.
        version: Such as 1.13.0; of a file that a user names, without the last number.
        origin: `wheel` for the Python package, else the name of the setting.
    """

    path: str
    version: str
    origin: str

    @property
    def name(self) -> str:
        """Name, version and origin, for manifests; without the path, which may be private."""
        return f"{_NAME} {self.version} ({self.origin})"


@cache
def driver_at(path: str | None) -> Driver:
    """The driver in a file; None for that of the Python package. Checked once per process.

    Raises:
        ConfigurationError: the file is not a driver that can be used.
    """
    if path is None:
        package = adbc_driver_postgresql
        return Driver(package._driver_path(), package.__version__, "wheel")
    named = f"{SETTING}={path!r}"
    if not Path(path).is_absolute():
        raise ConfigurationError(f"{named} is not an absolute path.", _HINT)
    if not Path(path).is_file():
        raise ConfigurationError(f"{named} is not a file.", _HINT)
    try:
        stated = _stated_version(Path(path))
    except OSError as error:
        raise ConfigurationError(f"{named} cannot be read: {error.strerror}.", _HINT) from None
    if stated is None:
        raise ConfigurationError(
            f"{named} is not an ADBC driver for PostgreSQL: it does not state the name {_NAME} and "
            "a version.",
            _HINT,
        )
    version = ".".join(map(str, stated))
    if stated < _OLDEST:
        raise ConfigurationError(
            f"{named} has the version {version}, and at least 1.11 is needed, because older "
            "drivers end the whole process when a connection is cut.",
            _HINT,
        )
    try:
        ctypes.CDLL(path)
    except OSError as error:
        # The loader also says "No such file" about a file that was built for another machine.
        raise ConfigurationError(
            f"{named} cannot be loaded ({error}): it was built for another kind of machine than "
            f"{platform.machine()}, it is damaged, or a library that it needs is missing.",
            _HINT,
        ) from None
    return Driver(path, version, SETTING)


def _stated_version(file: Path) -> tuple[int, int] | None:
    """(major, minor) in the name of a shared library; None if it is not that of the driver."""
    with file.open("rb") as opened:
        try:
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
                numbers = _SONAME.findall(data)
        except ValueError:  # an empty file
            return None
    # ADBC writes 100 * major + minor.
    return divmod(int(numbers[0]), 100) if numbers else None
