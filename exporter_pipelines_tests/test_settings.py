"""The environment: defaults, checks, and that errors show no secret."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter_pipelines import (
    alert_settings,
    cli,
    databases,
    dotenv_file,
    service_settings,
    settings,
)
from exporter_pipelines.errors import ConfigurationError, MissingSettingError


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("START_DATE", "END_DATE", "TIMEZONE", "OUTPUT_URL", "SOURCE_URL", "DEMO_HOME"):
        monkeypatch.delenv(f"EXPORTER_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults(tmp_path: Path) -> None:
    assert settings.start_date() == "2026-11-01"
    assert settings.end_date() is None
    assert settings.timezone() == "UTC"
    assert settings.output_root() == tmp_path / "exports"
    assert settings.demo_home() == tmp_path / ".demo"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("/data/out", "/data/out"), ("file:///data/out", "/data/out"), ("/with space", "/with space")],
)
def test_output_is_a_path_or_a_file_url(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: str
) -> None:
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", value)
    assert settings.output_root() == Path(expected)


@pytest.mark.parametrize(
    ("name", "value", "read", "expected"),
    [
        ("EXPORTER_OUTPUT_URL", "/data/out\n", settings.output_root, Path("/data/out")),
        ("EXPORTER_OUTPUT_URL", " file:///data/out ", settings.output_root, Path("/data/out")),
        ("EXPORTER_OUTPUT_URL", " \n", lambda: settings.output_root().name, "exports"),
        ("EXPORTER_DEMO_HOME", "/demo\r\n", settings.demo_home, Path("/demo")),
        ("EXPORTER_START_DATE", "2026-11-05\n", settings.start_date, "2026-11-05"),
        ("EXPORTER_END_DATE", "\t", settings.end_date, None),
        ("EXPORTER_TIMEZONE", "Europe/Berlin ", settings.timezone, "Europe/Berlin"),
        ("EXPORTER_UI_URL", "http://ui/\n", settings.ui_url, "http://ui"),
        ("EXPORTER_SERVE_PORT", " 8080\n", settings.ui_url, "http://127.0.0.1:8080"),
        ("EXPORTER_SERVE_PREFIX", "/exporter/", settings.ui_url, "http://127.0.0.1:3000/exporter"),
        ("EXPORTER_ALERT_SLOW_FACTOR", "4\n", alert_settings.alert_slow_factor, 4.0),
        ("EXPORTER_ALERT_REJECTED_PCT", " ", alert_settings.alert_rejected_pct, None),
    ],
)
def test_white_space_around_a_value_is_no_part_of_it(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    read: Callable[[], object],
    expected: object,
) -> None:
    monkeypatch.setenv(name, value)
    assert read() == expected


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("EXPORTER_OUTPUT_URL", settings.output_root),
        ("EXPORTER_DEMO_HOME", settings.demo_home),
    ],
)
def test_a_tilde_is_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, read: Callable[[], object]
) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    for value, expected in (
        ("~", Path("/home/ann")),
        ("~/exports", Path("/home/ann/exports")),
        ("./~", tmp_path / "~"),
    ):
        monkeypatch.setenv(name, value)
        assert read() == expected
    monkeypatch.setenv(name, "~no-such-user/exports")
    with pytest.raises(ConfigurationError, match=name):
        read()


@pytest.mark.parametrize(
    ("name", "value", "read", "said"),
    [
        ("EXPORTER_OUTPUT_URL", "/x" * 3000, settings.output_url, "too long for a path: 6,000"),
        ("EXPORTER_OUTPUT_URL", f"/{'ä' * 200}/x", settings.output_root, "each name in it 255."),
        ("EXPORTER_OUTPUT_URL", "file:///x%00y", settings.output_root, "has a NUL, which no path"),
        ("EXPORTER_OUTPUT_URL", "//[x", settings.output_root, "is neither a path nor a URL"),
        ("EXPORTER_OUTPUT_URL", "ftp://host/x", settings.output_url, "scheme 'ftp'"),
        ("EXPORTER_OUTPUT_URL", "s3:/bucket/x", settings.output_url, "a bucket: s3://bucket/"),
        ("EXPORTER_OUTPUT_VIEW", "link", settings.output_view, "neither copy nor none"),
        ("EXPORTER_OUTPUT_PART_MIB", "1", settings.output_part_bytes, "from 5 to 4096"),
        ("EXPORTER_START_DATE", "1.11.2026", settings.start_date, "Write it as YYYY-MM-DD"),
        ("EXPORTER_END_DATE", "2026-13-01", settings.end_date, "EXPORTER_END_DATE='2026-13-01'"),
        ("EXPORTER_TIMEZONE", "Mars/Base", settings.timezone, "such as UTC or Europe/Berlin"),
    ],
)
def test_a_bad_value_is_named_with_what_to_write(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, read: object, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as error:
        read()  # type: ignore[operator]
    assert said in str(error.value)
    assert name in str(error.value)


def test_a_bucket_is_an_output_and_no_message_has_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", " s3://bucket/prefix\n")
    assert settings.output_url() == "s3://bucket/prefix"
    for url in ("gcs://user:hunter2@bucket", "s3a://key:hunter2$x@bucket"):
        monkeypatch.setenv("EXPORTER_OUTPUT_URL", url)
        with pytest.raises(ConfigurationError, match="s3://bucket/prefix") as error:
            settings.output_url()
        assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_source_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is not None:
        monkeypatch.setenv("LOGS_URL", value)
    with pytest.raises(MissingSettingError, match="The environment variable LOGS_URL is not set"):
        settings.source_url("LOGS_URL")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("postgresql://host/db", "postgres"),
        ("postgres://host/db", "postgres"),
        ("sqlite:////srv/app.db", "sqlite"),
        ("demo", "postgres"),
        ("mysql://host/db", None),
        ("", None),
    ],
)
def test_the_kind_of_a_database_is_known_without_opening_it(
    monkeypatch: pytest.MonkeyPatch, value: str, kind: str | None
) -> None:
    monkeypatch.setenv("LOGS_URL", value)
    assert databases.kind("LOGS_URL") == kind


@pytest.mark.parametrize(("url", "is_imported"), [("sqlite:////no/file.db", False), ("demo", True)])
def test_the_sample_backend_is_imported_for_the_word_demo_only(
    tmp_path: Path, url: str, is_imported: bool
) -> None:
    code = (
        "import sys; from exporter_pipelines import databases, errors\n"
        "try: databases.open_inspection('LOGS_URL')\n"
        "except errors.ExporterError as error: print(error)\n"
        "print('exporter_pipelines.demo.backend' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "LOGS_URL": url, "EXPORTER_DEMO_HOME": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=True,
    )
    message, imported = done.stdout.splitlines()
    assert imported == str(is_imported)
    assert ("sample backend does not exist yet" in message) is is_imported
    assert not (tmp_path / "none").exists()


DOTENV = "EXPORTER_TIMEZONE=UTC\nEXPORTER_SOURCE_URL=sqlite:///größe.db\n"
COMMANDS = {
    "doctor": 1, "init": 1, "verify": 2, "output adopt": 1, "prune": 1, "alert-test": 1,
    "export logs 2026-11-01": 2, "keep logs 2026-11-01": 1,
    "accept-source logs": 1, "serve": 1, "serve --daemon": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (DOTENV.encode("utf-16"), "line 1 has the byte 0x"),
        (DOTENV.encode("utf-16-le"), "line 1 has the byte 0x00"),
        (DOTENV.encode("latin-1"), "line 2 has the byte 0xf6"),
        (b"EXPORTER_TIMEZONE=UTC\0\n", "line 1 has the byte 0x00"),
    ],
)
def test_a_dotenv_that_is_not_utf8_is_named_by_every_command(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    file = tmp_path / ".env"
    file.write_bytes(content)
    for command, code in COMMANDS.items():
        done = CliRunner().invoke(cli.main, command.split())
        assert done.exit_code == code, (command, done.output)
        assert f"Error: {file} " in done.output, command
        assert fault in done.output
        assert "UTF-8" in done.output


@pytest.mark.parametrize("name", [".env", "dagster.yaml"])
@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (os.mkfifo, "is a pipe, not a file. Put a regular file there, or remove it."),
        (Path.mkdir, "is a folder, not a file."),
        (lambda path: path.symlink_to("/dev/zero"), "is a device, not a file."),
        (lambda path: path.symlink_to(path), "cannot be read: too many levels of symbolic links."),
    ],
    ids=["pipe", "folder", "device", "link"],
)
def test_what_is_no_file_is_refused_by_every_command(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    plant: Callable[[Path], object],
    said: str,
) -> None:
    """A command would wait for a pipe without an end, and read a device without an end."""
    monkeypatch.setattr(dotenv_file, "_PIPE_WAIT_S", 0.1)
    if name == ".env" and plant is os.mkfifo:
        said = "is a pipe, and nothing was written to it within 0.1 s."
    plant(tmp_path / name)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    for command, code in COMMANDS.items():
        done = CliRunner().invoke(cli.main, command.split())
        assert done.exit_code == code, (command, done.output)
        assert f"Error: {tmp_path / name} {said}" in done.output, command


@pytest.mark.parametrize(
    "line", ["EXPORTER_TIMEZONE: Asia/Tokyo", 'EXPORTER_TIMEZONE="Asia/Tokyo', "set TIMEZONE=UTC"]
)
def test_a_line_of_a_dotenv_that_has_no_effect_is_named_by_every_command(
    tmp_path: Path, line: str
) -> None:
    """Days would be exported in another time zone, without a word."""
    file = tmp_path / ".env"
    file.write_text(f"EXPORTER_MAX_DAYS=5\n\n{line}\nEXPORTER_READERS=1\n")
    for command, code in COMMANDS.items():
        done = CliRunner().invoke(cli.main, command.split())
        assert done.exit_code == code, (command, done.output)
        assert f"Error: {file}: line 3 is not NAME=value" in done.output, command
        assert "Tokyo" not in done.output


@pytest.mark.parametrize("name", ["[old]", "a?b", "a*b"])
def test_a_folder_that_dagster_takes_for_a_pattern_is_refused_by_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Dagster would not find its settings or its history there, mostly without a word."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / name))
    (tmp_path / name).mkdir()
    dotenv_file.load_dotenv()  # no settings that it could miss
    (tmp_path / name / "dagster.yaml").touch()
    for command, code in COMMANDS.items():
        done = CliRunner().invoke(cli.main, command.split())
        assert done.exit_code == code, (command, done.output)
        assert f"Error: Dagster cannot use {tmp_path / name}/dagster.yaml" in done.output, command
        assert "Move the project to a folder without *, ? and [" in done.output


def test_a_dotenv_that_a_password_manager_writes_into_a_pipe_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pipe, long = tmp_path / ".env", "x" * 100_000
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(f"ONE=1\nLONG={long}\n",), daemon=True)
    writer.start()
    assert dotenv_file.dotenv() == {"ONE": "1", "LONG": long}
    writer.join(10)


def test_a_dotenv_with_line_ends_and_a_mark_of_windows_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_TIMEZONE", "UTC")
    monkeypatch.setenv("EXPORTER_SOURCE_URL", "demo")
    (tmp_path / ".env").write_bytes(
        "\ufeffEXPORTER_TIMEZONE='Asia/Tokyo'\r\nEXPORTER_SOURCE_URL=größe\r\n".encode()
    )
    dotenv_file.load_dotenv()
    assert settings.timezone() == "Asia/Tokyo"
    assert settings.source_url("EXPORTER_SOURCE_URL") == "größe"


@pytest.mark.parametrize("host", ["[x", "\x1b[31m", "a b", "http://x", "x/y", "x\n"])
def test_a_host_to_listen_on_is_an_address_or_a_name(host: str) -> None:
    with pytest.raises(ConfigurationError, match="EXPORTER_SERVE_HOST"):
        service_settings.serve_host(host)
    for good in ("127.0.0.1", "::1", "fe80::1%eth0", "localhost", "0.0.0.0"):
        assert service_settings.serve_host(good) == good


def test_what_a_command_repeats_of_its_arguments_is_printable() -> None:
    """A name from another program may hold control characters of a terminal."""
    done = CliRunner().invoke(cli.main, ["export", "\x1b]0;title\x07", "2026-11-01"])
    assert done.exit_code == 2
    assert "\x1b" not in done.output
    assert "Exporting \\x1b]0;title" in done.output
