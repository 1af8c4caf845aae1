"""What must be true of the files of a set before a model is trained on it.

The checks read the written files and the published inputs, never the tables of the build, so a
mistake in the build is found. `HOLDING` names those that keep a set from being published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from exporter_pipelines.contracts.training_set import SPLITS, TrainingSetConfig
from exporter_pipelines.training import sql
from exporter_pipelines.training.examples import EVENT, EVENTS, LABEL
from exporter_pipelines.training.inputs import Inputs
from exporter_pipelines.training.plan import Boundaries

_SHORTCUT_ROWS = 20
_SHORTCUT_SHARE = 0.95
_NEAR_PCT = 50
_LONG = 5
"""Shorter windows have the same events by chance, so `near_overlap` does not compare them."""
_NO_POLICY = "no policy"
_LATER = ("validation", "test")
_PAIRS = (("train", "validation"), ("train", "test"), ("validation", "test"))


@dataclass(frozen=True)
class Outcome:
    """The result of a check: one sentence, and the numbers behind it."""

    check: str
    passed: bool
    sentence: str
    numbers: Mapping[str, int | float | str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether the set must not be published."""
        return not self.passed and self.check in HOLDING


@dataclass(frozen=True)
class Written:
    """A set that is written but not published: its files as tables `train`, `validation`, `test`.

    Attributes:
        connection: With a view for each split, and `evidence_<split>`.
        config, inputs, boundaries: Of the build.
        columns: Of the files.
    """

    connection: duckdb.DuckDBPyConnection
    config: TrainingSetConfig
    inputs: Inputs
    boundaries: Boundaries
    columns: tuple[str, ...]

    def number(self, query: str) -> int:
        """The single number that a query returns; 0 for null."""
        return int(sql.row(self.connection, query)[0] or 0)

    @property
    def windows(self) -> bool:
        """Whether an example is a window."""
        return self.config.windows is not None

    @property
    def begins(self) -> str:
        """The column, in microseconds, at which an example begins."""
        return f"epoch_us({sql.name('start' if self.windows else self.inputs.rows.time_column)})"

    @property
    def ends(self) -> str:
        """The microsecond after an example."""
        return 'epoch_us("end")' if self.windows else f"{self.begins} + 1"


def open_written(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    config: TrainingSetConfig,
    inputs: Inputs,
    boundaries: Boundaries,
) -> Written:
    """The files in a folder as views."""
    for split in SPLITS:
        data = sorted((folder / "data").glob(f"{split}-*.parquet"))
        connection.execute(f"CREATE OR REPLACE VIEW {split} AS SELECT * FROM {sql.files(data)}")
        evidence = folder / "evidence" / f"{split}.parquet"
        connection.execute(
            f"CREATE OR REPLACE VIEW evidence_{split} AS SELECT * FROM {sql.files([evidence])}"
        )
    described = connection.execute("DESCRIBE train").fetchall()
    return Written(connection, config, inputs, boundaries, tuple(str(row[0]) for row in described))


def run_checks(written: Written) -> list[Outcome]:
    """All checks, in the order of `CHECKS`."""
    return [check(written) for check in CHECKS.values()]


def _ids_disjoint(written: Written) -> Outcome:
    """No row of the source is in two splits."""
    shared = 0
    for one, other in _PAIRS:
        if written.windows:
            assert written.config.windows
            group = sql.name(written.config.windows.group)
            shared += written.number(
                f"SELECT count(*) FROM {one} a JOIN {other} b ON a.{group} = b.{group} AND "
                'a.start < b."end" AND b.start < a."end"'
            )
        else:
            key = sql.name(written.inputs.rows.key)
            shared += written.number(
                f"SELECT count(DISTINCT {key}) FROM {one} SEMI JOIN {other} USING ({key})"
            )
    what = "windows that overlap" if written.windows else "keys that are"
    sentence = f"{shared} {what} in two splits." if shared else "No row is in two splits."
    return Outcome("ids_disjoint", not shared, sentence, {"shared": shared})


def _groups_disjoint(written: Written) -> Outcome:
    """No group is in two splits, if the split has groups."""
    column = written.config.split.groups
    if column is None:
        return Outcome("groups_disjoint", True, "The split has no groups.")
    inside = column in written.columns
    name = f"{sql.name(column)}::VARCHAR" if inside else '"group"'
    of = (lambda split: split) if inside else "evidence_{}".format
    shared = sum(
        written.number(
            f"SELECT count(*) FROM (SELECT DISTINCT {name} FROM {of(one)} "
            f"INTERSECT SELECT DISTINCT {name} FROM {of(other)})"
        )
        for one, other in _PAIRS
    )
    sentence = f"{shared} values of {column} are in two splits." if shared else (
        f"Each value of {column} is in one split."
    )  # fmt: skip
    return Outcome("groups_disjoint", not shared, sentence, {"shared": shared})


def _time_ordered(written: Written) -> Outcome:
    """Each split begins at least the gap after the one before it."""
    gap = sql.microseconds(written.config.split.gap)
    early = 0
    for one, other in _PAIRS:
        early += written.number(
            f"SELECT count(*) FROM {other} WHERE {written.begins} < "
            f"(SELECT max({written.ends}) - 1 + {gap} FROM {one})"
        )
    length = written.config.split.gap
    sentence = (
        f"{early} examples are less than {length} after the split before theirs."
        if early
        else f"Each split begins at least {length} after the one before it."
    )
    return Outcome("time_ordered", not early, sentence, {"too_early": early})


def _exact_overlap(written: Written) -> Outcome:
    """Few later examples have the same text and group as one of train."""
    columns = [_text_column(written)]
    group = written.config.windows.group if written.config.windows else written.config.split.groups
    if group and group in written.columns:
        columns.append(group)
    share = _overlap_pct(written, ", ".join(map(sql.name, columns)))
    limit = written.config.checks.max_overlap_pct
    return Outcome(
        "exact_overlap",
        share <= limit,
        f"{share:.2f} % of the validation and test examples equal one of train in "
        f"{' and '.join(columns)} (at most {limit:g} %).",
        {"overlap_pct": round(share, 4)},
    )


def _near_overlap(written: Written) -> Outcome:
    """Not most later examples have the events, or template and group, of one of train."""
    group = written.config.split.groups
    columns = [EVENTS] if written.windows else [EVENT]
    if not written.windows and group and group in written.columns:
        columns.append(group)
    long = f"WHERE rows >= {_LONG}" if written.windows else ""
    share = _overlap_pct(written, ", ".join(map(sql.name, columns)), long)
    what = " and ".join(columns)
    return Outcome(
        "near_overlap",
        share <= _NEAR_PCT,
        f"{share:.2f} % of the validation and test examples have the {what} of one of train "
        f"(more than {_NEAR_PCT} % is unusual).",
        {"overlap_pct": round(share, 4)},
    )


def _text_column(written: Written) -> str:
    if written.windows:
        return EVENTS
    return written.config.message if written.config.message in written.columns else EVENT


def _overlap_pct(written: Written, columns: str, where: str = "") -> float:
    """Percent of the examples of validation and test that equal one of train in some columns."""
    known = f"SELECT DISTINCT md5(({columns})::VARCHAR) AS h FROM train {where}"
    total = sum(written.number(f"SELECT count(*) FROM {split} {where}") for split in _LATER)
    same = sum(
        written.number(
            f"SELECT count(*) FROM (SELECT md5(({columns})::VARCHAR) AS h FROM {split} {where}) "
            f"SEMI JOIN ({known}) USING (h)"
        )
        for split in _LATER
    )
    return 100 * same / total if total else 0.0


def _label_not_from_future(written: Written) -> Outcome:
    """No label of a split became known in the time of the next one."""
    late = sum(
        written.number(
            f"SELECT count(*) FROM evidence_{split} WHERE epoch_us(label_known_at) >= {end}"
        )
        for split, end in (
            ("train", written.boundaries.validation),
            ("validation", written.boundaries.test),
        )
    )
    wrong = sum(
        written.number(
            f"SELECT abs((SELECT count(*) FROM {split} WHERE {LABEL} = 1) - "
            f"(SELECT count(label_known_at) FROM evidence_{split}))"
        )
        for split in SPLITS
    )
    sentence = "Each label was known before the next split begins."
    if late or wrong:
        sentence = (
            f"{late} labels became known in the time of the next split, and {wrong} labels have no "
            "time."
        )
    numbers = {"known_too_late": late, "without_a_time": wrong}
    return Outcome("label_not_from_future", not late and not wrong, sentence, numbers)


def _no_label_column(written: Written) -> Outcome:
    """The files have no column beside those of the rows, such as one of a label source."""
    expected = _expected_columns(written)
    found = [name for name in written.columns if name not in expected]
    sentence = (
        f"Columns that are not of the rows: {', '.join(found)}. They describe the label."
        if found
        else "Every column is one of the rows."
    )
    return Outcome("no_label_column", not found, sentence, {"columns": ", ".join(found)})


def _expected_columns(written: Written) -> set[str]:
    if written.config.windows:
        return {written.config.windows.group, "start", "end", "rows", EVENTS, LABEL}
    return {*written.inputs.rows.columns, EVENT, LABEL}


def _no_shortcut(written: Written) -> Outcome:
    """No single value gives the label away."""
    found = []
    for column in _short_columns(written):
        rows = written.connection.execute(
            f"SELECT v, n, p FROM (SELECT {column}::VARCHAR AS v, count(*) AS n, "
            f"sum({LABEL}) AS p FROM {_unnested(column)} GROUP BY 1) "
            f"WHERE n >= {_SHORTCUT_ROWS} AND p >= {_SHORTCUT_SHARE} * n ORDER BY p DESC, v LIMIT 1"
        ).fetchall()
        for row in rows:
            found.append(
                f"{column.strip(chr(34))} ({row[1]} examples, {100 * row[2] / row[1]:.0f} %)"
            )
    sentence = (
        "A single value almost always means label 1: " + "; ".join(found) + ". A model may learn "
        "nothing else."
        if found
        else "No single value gives the label away."
    )
    return Outcome("no_shortcut", not found, sentence, {"columns": len(found)})


def _short_columns(written: Written) -> list[str]:
    """Columns whose values can repeat: not the key, not times, not numbers with fractions."""
    if written.windows:
        assert written.config.windows
        return [sql.name(written.config.windows.group), EVENTS]
    rows = written.inputs.rows
    skipped = {rows.key, rows.time_column, written.config.message}
    names = [
        name
        for name in written.columns
        if name in rows.columns
        and name not in skipped
        and rows.columns[name].type in ("string", "bool", "int64")
    ]
    return [*map(sql.name, names), EVENT]


def _unnested(column: str) -> str:
    if column != EVENTS:
        return "train"
    return f"(SELECT unnest(list_distinct({EVENTS})) AS {EVENTS}, {LABEL} FROM train)"


def _balance(written: Written) -> Outcome:
    """Each split has enough positive examples, and a negative one."""
    least = written.config.checks.min_positives
    numbers: dict[str, int | float | str] = {}
    poor = []
    for split in SPLITS:
        positives = written.number(f"SELECT count(*) FROM {split} WHERE {LABEL} = 1")
        others = written.number(f"SELECT count(*) FROM {split} WHERE {LABEL} IS DISTINCT FROM 1")
        numbers |= {f"{split}_positives": positives, f"{split}_others": others}
        if positives < least or not others:
            poor.append(f"{split} has {positives} positive and {others} other examples")
    sentence = (
        f"{'; '.join(poor)}; at least {least} positive and 1 other are needed."
        if poor
        else f"Each split has at least {least} positive examples."
    )
    return Outcome("balance", not poor, sentence, numbers)


def _one_identity_space(written: Written) -> Outcome:
    """All days have the same pseudonyms, so that groups and joins hold across days."""
    spaces = identity_spaces(written.inputs)
    used = len(set(spaces.values())) if spaces else 0
    return Outcome(
        "one_identity_space",
        used <= 1,
        "All days have the same pseudonyms." if used <= 1 else f"{used} sets of pseudonyms.",
        {"spaces": used},
    )


def identity_spaces(inputs: Inputs) -> dict[str, str]:
    """`dataset day` -> its pseudonyms: key id, epoch and scope; empty without a privacy policy.

    If any day has a policy, a day without one counts as `no policy`: its raw values match no
    pseudonym.
    """
    spaces = {
        f"{each.dataset} {day}": (
            f"{found.key_id} {found.epoch} {found.scope}"
            if (found := manifest.privacy)
            else _NO_POLICY
        )
        for each in (inputs.rows, *inputs.labels.values())
        for day, manifest in each.days.items()
    }
    return {} if set(spaces.values()) <= {_NO_POLICY} else spaces


CHECKS: dict[str, Callable[[Written], Outcome]] = {
    "ids_disjoint": _ids_disjoint,
    "groups_disjoint": _groups_disjoint,
    "time_ordered": _time_ordered,
    "exact_overlap": _exact_overlap,
    "near_overlap": _near_overlap,
    "label_not_from_future": _label_not_from_future,
    "no_label_column": _no_label_column,
    "no_shortcut": _no_shortcut,
    "balance": _balance,
    "one_identity_space": _one_identity_space,
}
"""Name -> check; the names are public."""

HOLDING = frozenset(CHECKS) - {"near_overlap", "no_shortcut"}
"""The others warn: they are often true of honest data."""
