"""`EXPORTER_POSTGRES_DRIVER`: another file with the ADBC driver, used or refused with a reason."""

from __future__ import annotations

import _ssl
import re
import shutil
from pathlib import Path

import adbc_driver_postgresql
import pytest

from exporter_pipelines import api
from exporter_pipelines.databases import postgres_driver
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.databases import sqlite_database, with_shipped_tables
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.doctor_runs import DAY, Doctor

WHEEL = Path(adbc_driver_postgresql._driver_path())
OTHER_LIBRARY = Path(_ssl.__file__)
SONAME = b"libadbc_driver_postgresql.so."


def driver_with(file: Path, old: bytes, new: bytes) -> Path:
    """A copy of the installed driver in which some bytes of its file are others."""
    data = WHEEL.read_bytes()
    assert old in data
    file.write_bytes(data.replace(old, new, 1))
    return file


def driver_of_version(file: Path, version: bytes) -> Path:
    """A copy that states another version; it can be loaded, and is a driver."""
    stated = re.search(re.escape(SONAME) + rb"(\d+)\0", WHEEL.read_bytes())
    assert stated
    return driver_with(file, stated[0], SONAME + version + b"\0")


@pytest.fixture
def copied_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installed driver in another folder under another name, and set."""
    copy = tmp_path / "our own build.so"
    shutil.copy(WHEEL, copy)
    monkeypatch.setenv("EXPORTER_POSTGRES_DRIVER", f" {copy}\n")
    return copy


def loaded_files() -> str:
    return Path("/proc/self/maps").read_text()


def exported(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The run entry of the manifest of a day that is exported now."""
    monkeypatch.setenv("EXPORTER_SOURCE_URL", url)
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(folder))
    return api.export_day(dataset(), DAY).run.model_dump()


def test_the_manifest_names_the_driver_that_was_used(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXPORTER_POSTGRES_DRIVER", raising=False)
    backend.add_logs(DAY, 3)
    usual = exported(backend.url, tmp_path / "usual", monkeypatch)
    assert usual["driver"] == (
        f"libadbc_driver_postgresql {adbc_driver_postgresql.__version__} (wheel)"
    )


def test_another_driver_reads_the_same_rows_and_its_path_is_in_no_manifest(
    backend: Backend, copied_driver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.add_logs(DAY, 3)
    run = exported(backend.url, tmp_path / "other", monkeypatch)
    version = ".".join(adbc_driver_postgresql.__version__.split(".")[:2])
    assert run["driver"] == f"libadbc_driver_postgresql {version} (EXPORTER_POSTGRES_DRIVER)"
    assert str(copied_driver) in loaded_files()
    monkeypatch.delenv("EXPORTER_POSTGRES_DRIVER")
    exported(backend.url, tmp_path / "usual", monkeypatch)
    other, usual = (
        sorted(file.read_bytes() for file in (tmp_path / name).rglob("data/**/*.gz"))
        for name in ("other", "usual")
    )
    assert other
    assert other == usual


def test_sqlite_has_no_driver_in_its_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied_driver: Path
) -> None:
    database = with_shipped_tables(sqlite_database(tmp_path / "logs.db"))
    manifest_run = exported(database.url, tmp_path / "exports", monkeypatch)
    assert "driver" not in manifest_run


def test_the_doctor_names_the_driver_and_its_file(doctor: Doctor, copied_driver: Path) -> None:
    found = doctor.run("--seconds", "0").found("ok", "driver", None)
    assert "libadbc_driver_postgresql 1." in found["message"]
    assert found["message"].endswith(f"(EXPORTER_POSTGRES_DRIVER): {copied_driver}")
    doctor.set(EXPORTER_POSTGRES_DRIVER=str(OTHER_LIBRARY))
    refused = doctor.run("--seconds", "0").found("FAIL", "driver", None)
    assert "is not an ADBC driver for PostgreSQL" in refused["message"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: Path("libadbc_driver_postgresql.so"), "is not an absolute path"),
        (lambda folder: folder / "missing.so", "is not a file"),
        (lambda folder: folder, "is not a file"),
        (lambda folder: written(folder / "a.so", b""), "does not state the name"),
        (lambda folder: written(folder / "a.so", b"not a library\n"), "does not state the name"),
        (lambda _: OTHER_LIBRARY, "is not an ADBC driver for PostgreSQL: it does not state"),
        (lambda folder: driver_of_version(folder / "a.so", b"110"),
         "has the version 1.10, and at least 1.11 is needed, because older drivers end the whole "
         "process when a connection is cut"),
        (lambda folder: driver_of_version(folder / "a.so", b"17"), "has the version 0.17"),
        # 0xB7 is AArch64, 0x3E x86-64: the field e_machine, after the type of a shared library.
        (lambda folder: driver_with(folder / "a.so", *other_machine()), "cannot be loaded"),
        (lambda folder: written(folder / "a.so", SONAME + b"113\0"), "cannot be loaded"),
    ],
    ids=["relative", "missing", "folder", "empty", "text", "other library", "1.10", "0.17",
         "another machine", "damaged"],
)  # fmt: skip
def test_another_file_is_refused_with_one_reason(
    make: object, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make(tmp_path)  # type: ignore[operator]
    monkeypatch.setenv("EXPORTER_POSTGRES_DRIVER", str(file))
    with pytest.raises(ConfigurationError, match=re.escape(says)) as refused:
        postgres_driver()
    assert refused.value.message.startswith(f"EXPORTER_POSTGRES_DRIVER={str(file)!r} ")
    assert "or remove the setting" in refused.value.hint


def test_a_refused_driver_is_never_loaded_and_no_server_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = driver_of_version(tmp_path / "old.so", b"108")
    monkeypatch.setenv("EXPORTER_POSTGRES_DRIVER", str(old))
    monkeypatch.setenv("EXPORTER_SOURCE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(tmp_path / "exports"))
    with pytest.raises(ConfigurationError, match=r"has the version 1\.8"):
        api.export_day(dataset(), DAY)
    assert str(old) not in loaded_files()


def written(file: Path, data: bytes) -> Path:
    file.write_bytes(data)
    return file


def other_machine() -> tuple[bytes, bytes]:
    """(as it is, of another machine): the type and the machine in the header of the driver."""
    header = WHEEL.read_bytes()[16:20]
    other = b"\xb7\x00" if header[2:] != b"\xb7\x00" else b"\x3e\x00"
    return header, header[:2] + other
