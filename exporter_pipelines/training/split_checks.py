"""Checks that compare the splits: no row, group or text of one may reveal another."""

from __future__ import annotations

from collections.abc import Sequence

from exporter_pipelines.training import sql
from exporter_pipelines.training.examples import EVENT, EVENTS
from exporter_pipelines.training.identity_spaces import all_spaces, disagreements
from exporter_pipelines.training.written import Outcome, Written

_NEAR_PCT = 50
_LONG = 5
"""Shorter windows have the same events by chance, so `near_overlap` does not compare them."""
_HASHES_AT_ONCE = 500_000
_LATER = ("validation", "test")
_PAIRS = (("train", "validation"), ("train", "test"), ("validation", "test"))


def ids_disjoint(written: Written) -> Outcome:
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
            keys = f"SELECT hash({key}) AS h FROM {{}}".format
            shared += _shared(written, keys(one), keys(other))
    what = "windows that overlap" if written.windows else "keys that are"
    sentence = f"{shared} {what} in two splits." if shared else "No row is in two splits."
    return Outcome("ids_disjoint", not shared, sentence, {"shared": shared})


def groups_disjoint(written: Written) -> Outcome:
    """No group is in two splits, if the split has groups."""
    column = written.config.split.groups
    if column is None:
        return Outcome("groups_disjoint", True, "The split has no groups.")
    inside = column in written.columns
    name = f"{sql.name(column)}::VARCHAR" if inside else '"group"'
    of = (lambda split: split) if inside else "evidence_{}".format
    values = f"SELECT DISTINCT hash({name}) AS h FROM {{}}".format
    shared = sum(_shared(written, values(of(one)), values(of(other))) for one, other in _PAIRS)
    sentence = f"{shared} values of {column} are in two splits." if shared else (
        f"Each value of {column} is in one split."
    )  # fmt: skip
    return Outcome("groups_disjoint", not shared, sentence, {"shared": shared})


def time_ordered(written: Written) -> Outcome:
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


def exact_overlap(written: Written) -> Outcome:
    """Few later examples have the same text and group as one of train."""
    columns = [_text_column(written)]
    group = written.config.windows.group if written.config.windows else written.config.split.groups
    if group and group in written.columns:
        columns.append(group)
    share = _overlap_pct(written, columns)
    limit = written.config.checks.max_overlap_pct
    return Outcome(
        "exact_overlap",
        share <= limit,
        f"{share:.2f} % of the validation and test examples equal one of train in "
        f"{' and '.join(columns)} (at most {limit:g} %).",
        {"overlap_pct": round(share, 4)},
    )


def near_overlap(written: Written) -> Outcome:
    """Not most later examples have the events, or template and group, of one of train."""
    group = written.config.split.groups
    columns = [EVENTS] if written.windows else [EVENT]
    if not written.windows and group and group in written.columns:
        columns.append(group)
    long = f"rows >= {_LONG}" if written.windows else "true"
    share = _overlap_pct(written, columns, long)
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


def _overlap_pct(written: Written, columns: Sequence[str], where: str = "true") -> float:
    """Percent of the examples of validation and test that equal one of train in some columns."""
    names = ", ".join(map(sql.name, columns))
    known = f"{names} IS NOT NULL" if len(columns) == 1 else "true"
    hashes = f"SELECT hash({names}) AS h FROM {{}} WHERE {where} AND {known}".format
    total = sum(written.number(f"SELECT count(*) FROM {split} WHERE {where}") for split in _LATER)
    same = _shared(written, " UNION ALL ".join(map(hashes, _LATER)), hashes("train"))
    return 100 * same / total if total else 0.0


def _shared(written: Written, ones: str, others: str) -> int:
    """How many hashes of a query another one has as well.

    Hashes of 64 bits stand for the values, and are compared in parts, so that those of one part
    are in memory.
    """
    rows = 0
    for name, query in (("ones", ones), ("others", others)):
        written.connection.execute(f"CREATE OR REPLACE TABLE {name} AS {query}")
        rows += written.number(f"SELECT count(*) FROM {name}")
    parts = max(1, -(-rows // _HASHES_AT_ONCE))
    return sum(
        written.number(
            f"SELECT count(*) FROM ones WHERE h % {parts} = {part} "
            f"AND h IN (SELECT h FROM others WHERE h % {parts} = {part})"
        )
        for part in range(parts)
    )


def one_identity_space(written: Written) -> Outcome:
    """All days have the same pseudonyms, or no group and no join compares them."""
    spaces = all_spaces(written.inputs)
    found = list(disagreements(written.config, written.inputs))
    if found:
        settings = " and ".join(each.setting for each in found)
        sentence = f"{len(spaces)} sets of pseudonyms, which {settings} compare with each other."
    elif len(spaces) > 1:
        sentence = f"{len(spaces)} sets of pseudonyms, but groups and joins do not compare them."
    else:
        sentence = "All days have the same pseudonyms."
    return Outcome("one_identity_space", not found, sentence, {"spaces": len(spaces)})
