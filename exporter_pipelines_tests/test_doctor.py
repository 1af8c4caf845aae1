"""`exporter doctor` names each problem and its fix, changes nothing, and shows no secret."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter_pipelines import cli
from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import with_sqlite_history
from exporter_pipelines_tests.support.doctor_runs import DAY, SECRET, Doctor
from exporter_pipelines_tests.support.projects import BIN, ROOT, Project

# All well


def test_all_well_is_only_ok_and_0(doctor: Doctor, reader: str) -> None:
    doctor.run()
    assert {f["level"] for f in doctor.said} == {"ok"}, doctor.output
    assert doctor.code == 0
    assert doctor.output.endswith(
        f"\n0 FAIL, 0 warn, {len(doctor.said)} ok. Read: all 1 row of anomalies; all 1 row of ips; "
        "all 3 rows of logs.\n"
    )
    assert re.search(
        r"^ok    logs          connection          PostgreSQL [\d.]+ at .*:5432, "
        rf"database test_\w+, role {reader}\.$",
        doctor.output,
        re.MULTILINE,
    )
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-01 to 2026-11-01"


def test_people_and_programs_are_told_the_same(doctor: Doctor, backend: Backend) -> None:
    backend.run("ALTER TABLE logs RENAME level TO log_level; DROP TABLE anomalies")
    doctor.run()
    shown = CliRunner().invoke(cli.main, ["doctor"])
    assert shown.exit_code == doctor.code == 1
    for finding in doctor.said:
        if finding["check"] != "disk":  # which changes all the time
            said = f"{finding['check']:<18}  {finding['message'].rstrip('.')}. {finding['hint']}"
            assert f"  {said.rstrip()}\n" in shown.output


def test_one_dataset_is_looked_at_alone(doctor: Doctor) -> None:
    doctor.run("--dataset", "ips")
    assert {f["dataset"] for f in doctor.said} == {None, "ips"}


def test_it_changes_nothing(doctor: Doctor, tmp_path: Path, backend: Backend) -> None:
    statement = "SELECT count(*) FROM pg_class"
    before = sorted(tmp_path.rglob("*")), backend.run(statement)
    doctor.run()
    assert (sorted(tmp_path.rglob("*")), backend.run(statement)) == before


# Usage


@pytest.mark.parametrize("arguments", [["--dataset", "lgos"], ["--nonsense"], ["extra"]])
def test_wrong_usage_is_2(doctor: Doctor, arguments: list[str]) -> None:
    done = CliRunner().invoke(cli.main, ["doctor", *arguments])
    assert done.exit_code == 2


def test_an_unknown_dataset_is_answered_with_the_known(doctor: Doctor) -> None:
    done = CliRunner().invoke(cli.main, ["doctor", "--dataset", "lgos"])
    assert "The dataset 'lgos' does not exist (there are: anomalies, ips, logs" in done.output


# The project


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"EXPORTER_START_DATE": "soon"}, "EXPORTER_START_DATE='soon' is not a date"),
        ({"EXPORTER_START_DATE": "2999-01-01", "EXPORTER_END_DATE": ""}, "is in the future"),
        ({"EXPORTER_END_DATE": "2026-10-01"}, "is not after EXPORTER_START_DATE 2026-11-01"),
        ({"EXPORTER_TIMEZONE": "Mars"}, "'Mars' is not an IANA time zone"),
        ({"EXPORTER_BACKFILL_DAYS_PER_RUN": "0"}, "is not a whole number of 1 or more"),
    ],
)
def test_a_setting_that_cannot_be_is_a_fail(
    doctor: Doctor, values: dict[str, str], said: str
) -> None:
    doctor.set(**values)
    doctor.run()
    assert doctor.code == 1
    assert any(
        said in f["message"]
        for f in doctor.said
        if (f["level"], f["check"]) == ("FAIL", "settings")
    )


@pytest.mark.parametrize("output", ["{file}", "{file}/below", "ftp://host/x"])
def test_an_output_that_cannot_be_written_is_a_fail(
    doctor: Doctor, tmp_path: Path, output: str
) -> None:
    (tmp_path / "file").touch()
    doctor.set(EXPORTER_OUTPUT_URL=output.format(file=tmp_path / "file"))
    doctor.run()
    found = doctor.found("FAIL", "output", None)
    assert "EXPORTER_OUTPUT_URL" in found["message"] + found["hint"]
    assert doctor.code == 1


def test_a_folder_without_permission_is_a_fail(doctor: Doctor, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("this user may write everywhere")
    (tmp_path / "exports").mkdir(mode=0o555)
    doctor.run()
    assert "cannot be written by this user" in doctor.found("FAIL", "output", None)["message"]


def test_leftovers_of_another_user_do_not_end_the_doctor(tmp_path: Path) -> None:
    """As after a first start with sudo. The doctor says elsewhere that the folder is closed."""
    folder = tmp_path / "logs"
    (folder / ".staging").mkdir(parents=True)
    folder.chmod(0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        with pytest.raises(OutputUnavailableError, match=r"staging: Permission denied"):
            LocalStore(tmp_path).dead_attempts("logs")
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)
    assert LocalStore(tmp_path).dead_attempts("logs") == []
    assert LocalStore(tmp_path).dead_attempts("ips") == []


def test_leftovers_of_the_dead_are_told_from_the_work_of_the_living(
    doctor: Doctor, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path / "exports")
    living = store.begin("logs", DAY)
    try:
        doctor.run()
        assert not [f for f in doctor.said if f["check"] == "leftovers"]
        (living.folder.parent / "date=2026-11-02.0123.lock").touch()
        doctor.run()
    finally:
        living.discard()
    assert "date=2026-11-02.0123" in doctor.found("warn", "leftovers")["message"]
    assert doctor.code == 0


@pytest.mark.parametrize(
    ("home", "level", "said"),
    [
        ("relative", "FAIL", "is not an absolute path"),
        ("/nowhere/at/all", "FAIL", "does not exist"),
        ("/", "warn", "/dagster.yaml does not exist"),
    ],
)
def test_dagster_home_is_looked_at(doctor: Doctor, home: str, level: str, said: str) -> None:
    doctor.set(DAGSTER_HOME=home)
    doctor.run()
    assert said in doctor.found(level, "dagster", None)["message"]


@pytest.mark.parametrize("option", [False, True])
def test_a_storage_that_is_not_initialised_is_named(doctor: Doctor, option: bool) -> None:
    if option:
        file = Path("dagster.yaml")
        file.write_text(with_sqlite_history(file.read_text()))
    doctor.run()
    assert ".dagster/storage" in doctor.found("ok", "dagster", None)["message"]
    shutil.rmtree(Path(".dagster/storage").absolute())
    doctor.run()
    assert "make setup" in doctor.found("warn", "dagster", None)["hint"]


def test_a_history_that_two_commands_created_at_once_is_named(doctor: Doctor) -> None:
    file = Path(".dagster/storage/history/runs.db").absolute()
    shutil.rmtree(file.parent, ignore_errors=True)
    file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file)) as history:
        history.execute("PRAGMA journal_mode=WAL")
        history.execute("CREATE TABLE alembic_version (version_num)")
        history.execute("INSERT INTO alembic_version VALUES ('29b539ebc72a'), ('5771160a95ad')")
        history.commit()
    assert f"{file} is damaged" in doctor.run().found("FAIL", "dagster", None)["message"]
    assert [each.name for each in file.parent.iterdir()] == ["runs.db"]
    with closing(sqlite3.connect(file)) as history:
        history.execute("DELETE FROM alembic_version WHERE version_num = '5771160a95ad'")
        history.commit()
    doctor.run().found("ok", "dagster", None)


@pytest.mark.parametrize("text", ["storage: [1]", "storage: 5", "x: !!bool x", "[" * 9999, "\0"])
def test_a_dagster_yaml_that_cannot_be_used_is_named(doctor: Doctor, text: str) -> None:
    Path("dagster.yaml").write_text(text)
    doctor.run()
    assert "is not valid YAML" in doctor.found("FAIL", "dagster", None)["message"]


def test_a_history_disk_without_room_or_permission_is_named(doctor: Doctor, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(*arguments: str) -> int:
        command = ["mount", *arguments, str(disk)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    if mount("-t", "tmpfs", "-o", "size=512m", "tmpfs"):
        pytest.skip("mounting a file system needs root and a kernel that allows it")
    try:
        shutil.copy("dagster.yaml", disk)
        doctor.set(DAGSTER_HOME=str(disk))
        doctor.run().found("ok", "dagster", None)
        assert mount("-o", "remount,size=64m") == 0
        assert "MiB free" in doctor.run().found("warn", "dagster", None)["message"]
        (disk / "big").write_bytes(bytes(64 * 2**20 - 2**16))
        assert "MiB free" in doctor.run().found("FAIL", "dagster", None)["message"]
        assert doctor.code == 1
        assert mount("-o", "remount,ro") == 0
        assert "cannot be written" in doctor.run().found("FAIL", "dagster", None)["message"]
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_no_dagster_home_is_a_warning(doctor: Doctor) -> None:
    doctor.monkeypatch.delenv("DAGSTER_HOME")
    doctor.run()
    said = [f for f in doctor.said if f["check"] == "dagster"]
    assert [f["level"] for f in said] == ["warn", "ok"]


# Connection


def test_a_missing_variable_is_named(doctor: Doctor) -> None:
    doctor.monkeypatch.delenv("EXPORTER_SOURCE_URL")
    doctor.run()
    found = doctor.found("FAIL", "connection")
    assert found["message"] == "The environment variable EXPORTER_SOURCE_URL is not set."
    assert doctor.code == 1


def test_each_dataset_may_have_its_own_database(doctor: Doctor) -> None:
    doctor.edit("ips", "url: EXPORTER_SOURCE_URL", "url: OTHER_URL")
    doctor.run()
    assert "OTHER_URL" in doctor.found("FAIL", "connection", "ips")["message"]
    assert doctor.found("ok", "connection", "logs")


def test_an_unreachable_host_is_named_without_the_password(doctor: Doctor) -> None:
    doctor.set(EXPORTER_SOURCE_URL=f"postgresql://ann:{SECRET}@127.0.0.1:1/db")
    doctor.run()
    found = doctor.found("FAIL", "connection")
    assert "at 127.0.0.1:1, database db, user ann" in found["message"]
    assert "Check that the server is running" in found["hint"]


def test_a_malformed_url_is_not_shown(doctor: Doctor) -> None:
    doctor.set(EXPORTER_SOURCE_URL=f"mysql://ann:{SECRET}@db/x")
    doctor.run()
    assert "EXPORTER_SOURCE_URL" in doctor.found("FAIL", "connection")["message"]


@pytest.fixture
def guarded_role(backend: Backend) -> Iterator[str]:
    """A role of the embedded server that must give a password."""
    if os.environ.get("EXPORTER_TEST_POSTGRES_URL"):
        pytest.skip("changes pg_hba.conf, which only the embedded server is ours to change")
    role = f"guarded_{backend.url.split('/')[3].split('?')[0]}"
    ((path,),) = backend.run("SHOW hba_file")
    hba = Path(path)
    before = hba.read_text()
    backend.run(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")
    hba.write_text(f"local all {role} scram-sha-256\n{before}")
    backend.run("SELECT pg_reload_conf()")
    yield role
    hba.write_text(before)
    backend.run("SELECT pg_reload_conf()")
    backend.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_wrong_password_is_named_and_not_shown(
    doctor: Doctor, backend: Backend, guarded_role: str
) -> None:
    url = backend.url.replace("postgres@", f"{guarded_role}:{SECRET}@", 1)
    doctor.set(EXPORTER_SOURCE_URL=url)
    doctor.run()
    found = doctor.found("FAIL", "connection")
    assert "password authentication failed" in found["message"]
    assert found["hint"] == "Correct the user or password in EXPORTER_SOURCE_URL."


def test_a_sample_that_nobody_made_is_not_made(doctor: Doctor, tmp_path: Path) -> None:
    doctor.set(EXPORTER_SOURCE_URL="demo", EXPORTER_DEMO_HOME=str(tmp_path / "demo"))
    doctor.run()
    assert "make demo" in doctor.found("warn", "connection")["hint"]
    assert not (tmp_path / "demo").exists()


# Privileges


def test_a_superuser_is_a_warning(doctor: Doctor) -> None:
    doctor.run()
    found = doctor.found("warn", "privileges")
    assert found["message"] == "The role is a superuser and may do far more than read"
    assert "docs/deployment.md" in found["hint"]
    assert doctor.code == 0


def test_a_role_that_may_write_is_a_warning(doctor: Doctor, backend: Backend, reader: str) -> None:
    backend.run(f"GRANT DELETE ON logs TO {reader}")
    doctor.run()
    assert doctor.found("warn", "privileges")["message"] == "The role may write to logs"
    assert doctor.found("ok", "privileges", "ips")


def test_policies_that_may_hide_rows_fail(doctor: Doctor, backend: Backend, reader: str) -> None:
    backend.run("ALTER TABLE logs ENABLE ROW LEVEL SECURITY")
    doctor.run()
    assert "may hide rows" in doctor.found("FAIL", "row-level security")["message"]


# The real command


def command(
    project: Project, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "exporter", *arguments],
        cwd=project.path,
        env={**project.environment, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_the_command_reads_the_env_file_over_the_shell(project: Project) -> None:
    elsewhere = f"postgresql://u:{SECRET}@127.0.0.1:1/x"
    done = command(project, "doctor", EXPORTER_SOURCE_URL=elsewhere)
    assert done.returncode == 0, done.stdout
    assert ".env overrides the shell for EXPORTER_SOURCE_URL" in done.stdout
    assert done.stderr == (
        ".env overrides the shell for EXPORTER_SOURCE_URL. Change .env, or remove the line there.\n"
    )
    assert re.search(r"^ok    logs +connection .*database test_", done.stdout, re.MULTILINE)
    assert SECRET not in done.stdout + done.stderr


def test_the_command_needs_no_dagster(project: Project) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, exporter_pipelines.cli; print('dagster' in sys.modules)",
        ],
        cwd=project.path,
        env=project.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_the_page_shows_the_real_help(project: Project) -> None:
    done = command(project, "doctor", "--help", COLUMNS="100")
    assert done.stdout.strip() in (ROOT / "docs" / "doctor.md").read_text()


def test_the_page_explains_every_check() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text()
    folder = ROOT / "exporter_pipelines" / "doctor"
    source = "".join(file.read_text() for file in [*folder.glob("*.py")])
    checks = set(
        re.findall(r'"(?:ok|warn|FAIL)", (?:None|dataset(?:\.name)?), "([a-z .-]+)"', source)
    )
    checks |= {"connection", "row-level security", "privileges", "dagster", "types"}
    assert len(checks) > 12
    for check in checks:
        assert f"| `{check}` |" in page, check


def test_names_of_the_database_send_no_control_characters_to_a_terminal(
    doctor: Doctor, backend: Backend
) -> None:
    backend.run('ALTER TABLE logs RENAME level TO "\x1b[31mlevel\nFAIL"')
    backend.run('ALTER TABLE anomalies RENAME TO "\x1b[2Janomalies"')
    assert doctor.run().code == 1
    assert all(line.isprintable() for line in doctor.output.split("\n")), doctor.output
    assert r"\x1b[31mlevel\nFAIL" in doctor.found("FAIL", "columns")["message"]
    assert doctor.found("FAIL", "table", "anomalies")["hint"].partition("\n")[0].isprintable()
