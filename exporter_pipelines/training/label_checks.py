"""Checks of the labels: known in time, not given away by a column or a value, enough of them."""

from __future__ import annotations

from exporter_pipelines.contracts.training_set import SPLITS
from exporter_pipelines.training import sql
from exporter_pipelines.training.examples import EVENT, EVENTS, LABEL
from exporter_pipelines.training.written import Outcome, Written

_SHORTCUT_ROWS = 20
_SHORTCUT_SHARE = 0.95


def label_not_from_future(written: Written) -> Outcome:
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


def no_label_column(written: Written) -> Outcome:
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


def no_shortcut(written: Written) -> Outcome:
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


def balance(written: Written) -> Outcome:
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
