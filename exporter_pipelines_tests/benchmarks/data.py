"""The rows of the benchmarks: logs that look like logs, 1 % of them invalid.

Deterministic: the same rows on every machine and in every run. `shapes` makes them wide or long.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import psycopg
from psycopg import sql

from exporter_pipelines_tests.benchmarks.server import Server
from exporter_pipelines_tests.benchmarks.shapes import STANDARD, Shape

FIRST_DAY = dt.date(2025, 1, 1)
WARM_UP_DAY = FIRST_DAY - dt.timedelta(days=1)
_WARM_UP_ROWS = 200

_TABLE = """
CREATE TABLE logs (
    id bigint PRIMARY KEY, timestamp timestamptz NOT NULL, level text, message text, source text,
    device text, ip inet, attributes jsonb);
"""
_INDEX = "CREATE INDEX logs_timestamp ON logs (timestamp)"

# Texts of 79 to 185 characters with all that makes JSON expensive: quotes, backslashes, line
# breaks, tabs, other scripts. {port} and {hash} differ from row to row.
_MESSAGES = (
    "Accepted publickey for deploy from 10.20.30.40 port {port} ssh2: ED25519 SHA256:{hash}",
    'GET /api/v2/items?page={port}&token={hash} HTTP/1.1" 200 5316 "-" "Mozilla/5.0 (X11)"',
    "Größe der Warteschlange überschritten: {port} Einträge, älteste Nachricht {hash} gelöscht",
    "接続がタイムアウトしました。再試行します。ポート {port}、要求 {hash}、上流サーバーの応答が"
    "ありませんでした。管理者に連絡してください。エラーコードは後で確認できます。",
    'Traceback (most recent call last):\n  File "/srv/app/worker.py", line {port}, in run\n'
    "    self.handle(job)\n  File \"/srv/app/jobs.py\", line 77, in handle\nKeyError: '{hash}'",
    "Cannot open C:\\ProgramData\\Agent\\queue\\{hash}.tmp: used by process {port}\tretry in 30 s",
    "worker heartbeat ok, queue depth {port}, uptime 183422 s, resident memory 412 MiB",
    '{"event": "login", "user": "u{port}", "session": "{hash}", "ok": true, '
    '"factors": ["pw", "otp"], "client": {"os": "linux", "version": "5.15", "agent": "cli/2.1"}}',
)
_LEVELS = ("INFO", "info", "INFO", "notice", "debug", "DEBUG", "warn", "WARNING", "err", "ERROR")

# Row n of {rows}: spread evenly over the days, with microseconds; n % 200 = 7 has a level that
# nobody knows and n % 200 = 107 no message. 60 % of the rows have no attributes.
_ROWS = """
INSERT INTO logs
SELECT {first} + n,
    {day}::date::timestamptz + n * ({days} * 86400000000 / {rows}) * interval '1 microsecond',
    CASE WHEN n % 200 = 7 THEN 'LEVEL_UNSET' ELSE ({levels}::text[])[1 + n % {level_count}] END,
    CASE WHEN n % 200 = 107 THEN NULL ELSE
        replace(replace(({messages}::text[])[1 + n % {message_count}],
            '{{port}}', (1024 + n % 64511)::text), '{{hash}}', md5(n::text)) END,
    'service-' || n % 23,
    CASE WHEN n % 4 > 0 THEN 'edge-' || n % 50 END,
    CASE WHEN n % 10 = 3 THEN '2001:db8::'::inet + n % 65536
        WHEN n % 3 > 0 THEN '10.0.0.0'::inet + n % 16000000 END,
    CASE WHEN n % 5 < 2 THEN jsonb_build_object('request', jsonb_build_object('id', md5(n::text),
        'tags', jsonb_build_array('a', n % 7, NULL)), 'latency_ms', (n % 10000) / 10.0,
        'path', '/srv/größe/"' || n % 300 || '"') END
FROM generate_series(0, {rows} - 1) AS n
"""


@dataclass(frozen=True)
class Rows:
    """The table `logs` of one size.

    Attributes:
        url: Of the database that holds it.
        count: Rows of all days.
        days: Days that they are spread over, from FIRST_DAY on.
        shape: How they differ from those of the standard table.
    """

    url: str
    count: int
    days: int
    shape: Shape = STANDARD

    @property
    def day_names(self) -> list[str]:
        """The days, `YYYY-MM-DD`, in order."""
        return [str(FIRST_DAY + dt.timedelta(days=n)) for n in range(self.days)]

    @property
    def end(self) -> dt.date:
        """The first day behind them."""
        return FIRST_DAY + dt.timedelta(days=self.days)

    @property
    def where(self) -> str:
        """All rows but those of the warm-up, as an SQL condition."""
        return f"timestamp >= '{FIRST_DAY}Z' AND timestamp < '{self.end}Z'"

    @property
    def select(self) -> str:
        """The columns with the casts of an export, in no order."""
        added = "".join(f", {name}" for name in self.shape.columns)
        return (
            "SELECT id, timestamp, level, message, source, device, abbrev(ip) AS ip, "
            f"attributes::text AS attributes{added} FROM logs WHERE {self.where}"
        )


def filled(server: Server, count: int, days: int, shape: Shape = STANDARD) -> Rows:
    """The table with `count` rows over `days` days; made once, then found again."""
    name = f"{shape.name}_{count}_{days}"
    with psycopg.connect(server.url, autocommit=True) as admin:
        known = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if not known:
            # Under another name until it is full: a run that was ended leaves nothing half-made.
            making = sql.Identifier(f"{name}_making")
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(making))
            admin.execute(sql.SQL("CREATE DATABASE {}").format(making))
            _fill(server.database(f"{name}_making"), count, days, shape)
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            admin.execute(rename.format(making, sql.Identifier(name)))
    return Rows(server.database(name), count, days, shape)


def _fill(url: str, count: int, days: int, shape: Shape) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(_TABLE)
        # Of the warm-up and of the days; ids go on.
        for first, day, span, rows in (
            (1, WARM_UP_DAY, 1, _WARM_UP_ROWS),
            (1 + _WARM_UP_ROWS, FIRST_DAY, days, count),
        ):
            connection.execute(
                sql.SQL(_ROWS).format(
                    first=first, day=sql.Literal(str(day)), days=span, rows=rows,
                    levels=sql.Literal(list(_LEVELS)), level_count=len(_LEVELS),
                    messages=sql.Literal(list(_MESSAGES)), message_count=len(_MESSAGES),
                )
            )  # fmt: skip
        for statement in shape.statements:
            connection.execute(sql.SQL(statement))
        connection.execute(_INDEX)
        connection.execute("VACUUM ANALYZE logs")
        connection.execute("CHECKPOINT")
