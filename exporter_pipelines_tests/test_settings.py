"""The environment: defaults, checks, and that secrets stay unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter_pipelines import settings
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
    ("name", "value", "read", "said"),
    [
        ("EXPORTER_OUTPUT_URL", "s3://bucket/x", settings.output_root, "scheme 's3'"),
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


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_source_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is not None:
        monkeypatch.setenv("LOGS_URL", value)
    with pytest.raises(MissingSettingError, match="The environment variable LOGS_URL is not set"):
        settings.source_url("LOGS_URL")
