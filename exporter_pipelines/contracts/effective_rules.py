"""The rules that a dataset applies: those of its schema and of `rules:`, without the ignored ones.

Belongs here: adding the rules of a `defs.yaml` to the schema, so that Pandera applies them and
every list of rules includes them. Does not belong here: applying them (`engine.validate`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exporter_pipelines.contracts.refinements import RuleConfig, Threshold
from exporter_pipelines.contracts.row_schema import RowSchema, rule_name
from exporter_pipelines.contracts.source_rules import SOURCE_RULES
from exporter_pipelines.contracts.user_functions import user_function
from exporter_pipelines.errors import ConfigurationError, UnknownNameError

if TYPE_CHECKING:  # otherwise imported in the functions that use them, as in `row_schema`
    import pandas as pd
    import pandera.pandas as pandera

_NEVER_IGNORED = ("required", *SOURCE_RULES)
"""Rules that cannot be ignored: a row that breaks one has no value to export."""


def with_rules(schema: RowSchema, rules: Iterable[RuleConfig]) -> RowSchema:
    """The schema with the functions of `rules:` added to its checks.

    A rule over one column judges that column, and its rejections show the value. A rule over
    several columns, or over the frame, judges whole rows. SQL rules are not added: the source
    evaluates them.

    Raises:
        ConfigurationError: a function cannot be used, a column does not exist, or a name is taken.
    """
    import pandera.pandas as pandera

    taken = {name for name, _ in schema.rules} | set(_NEVER_IGNORED)
    checks: dict[str | None, list[pandera.Check]] = {}
    for rule in rules:
        if rule.name in taken:
            raise ConfigurationError(f"rule {rule.name!r} exists already.", "Choose another name.")
        taken.add(rule.name)
        if rule.function is not None:
            column = rule.columns[0] if len(rule.columns) == 1 else None
            check = pandera.Check(_judge(schema, rule, rule.function), name=rule.name)
            checks.setdefault(column, []).append(check)
    if not checks:
        return schema
    return _changed(schema, lambda name, own: [*own, *checks.get(name, [])])


def without(schema: RowSchema, ignored: Iterable[str]) -> RowSchema:
    """The schema without the rules of these names."""
    names = set(ignored)
    if not names:
        return schema
    return _changed(schema, lambda _, own: [c for c in own if rule_name(c) not in names])


def check_thresholds(
    thresholds: Mapping[str, Threshold], schema: RowSchema, rules: Iterable[RuleConfig]
) -> None:
    """Check that `thresholds:` names known rules, and ignores none that must apply.

    Raises:
        UnknownNameError: a name is unknown; the message lists the known ones.
        ConfigurationError: a rule is ignored that must apply.
    """
    known = known_rules(schema, rules)
    for name, threshold in thresholds.items():
        if name not in known:
            raise UnknownNameError("thresholds: rule", name, sorted(known))
        if threshold == "ignore" and name in _NEVER_IGNORED:
            raise ConfigurationError(
                f"thresholds: rule {name!r} cannot be ignored: such a row lacks a value.",
                "Write `warn`, or name the column under `nullable:` or `defaults:`.",
            )


def known_rules(schema: RowSchema, rules: Iterable[RuleConfig]) -> set[str]:
    """Names of all rules that can reject a row: of the schema, of the dataset and of the source."""
    return {name for name, _ in schema.rules} | {rule.name for rule in rules} | set(_NEVER_IGNORED)


def _changed(
    schema: RowSchema,
    change: Callable[[str | None, list[pandera.Check]], list[pandera.Check]],
) -> RowSchema:
    columns = schema.pandera.columns.items()
    changed = schema.pandera.update_columns(
        {name: {"checks": change(name, list(column.checks))} for name, column in columns}
    )
    changed.checks = change(None, list(schema.pandera.checks))
    return replace(schema, pandera=changed)


def _judge(schema: RowSchema, rule: RuleConfig, path: str) -> Callable[[Any], Any]:
    """A user's function for Pandera, which passes a Series for one column, else a frame."""
    what = f"rule {rule.name!r}"
    for column in rule.columns:
        if column not in schema.names:
            raise UnknownNameError(f"{what}: column", column, schema.names)
    function = user_function(what, path, rule.columns or ("rows",), rule.params)

    def judge(data: pd.Series | pd.DataFrame) -> pd.Series | bool:
        several = len(rule.columns) > 1
        arguments = [data[name] for name in rule.columns] if several else [data]
        return _verdicts(function(*arguments, **rule.params), data.index)

    return judge


def _verdicts(result: object, index: pd.Index) -> pd.Series | bool:
    """A boolean per row, where null counts as passed; False (an error) for any other result."""
    import pandas as pd

    fits = isinstance(result, pd.Series) and len(result) == len(index)
    if not fits or not pd.api.types.is_bool_dtype(result.dtype):  # type: ignore[attr-defined]
        return False
    filled = result.fillna(True).to_numpy(dtype=bool)  # type: ignore[attr-defined]
    return pd.Series(filled, index=index)
