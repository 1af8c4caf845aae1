"""What `exporter init` prints."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from click.core import ParameterSource

from exporter_pipelines import settings
from exporter_pipelines.contracts.day_window import days_between
from exporter_pipelines.contracts.reserved_names import as_readers_compare, free_column_name
from exporter_pipelines.contracts.sql_names import quoted, quoted_column
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.errors import listed, printable
from exporter_pipelines.new_datasets import (
    Candidate,
    Plan,
    Planner,
    Resemblance,
    deletion_marks,
    files_of,
    folder_of,
)

_WIDTHS = (32, 20, 24, 16, 16)
_LONG_DAYS = 1_000
"""Of several datasets. They take minutes, if each day has rows."""


def again(context: click.Context) -> str:
    """The command that was called, without `--dry-run`."""
    words = ["exporter", "init", *context.params["tables"]]
    for option in context.command.params:
        name = str(option.name)
        is_given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if isinstance(option, click.Option) and is_given and name != "dry_run":
            words += [option.opts[0]] if option.is_flag else [option.opts[0], context.params[name]]
    return shlex.join(map(printable, words))


def print_candidates(found: Iterable[Candidate], command: str) -> None:
    """The list of tables, each as soon as it is known.

    Args:
        found: The tables.
        command: The command that lists them.
    """
    click.echo(_row("table", "rows", "days", "key", "time column", "dataset"))
    names = []
    for each in found:
        days = f"{each.span.first}..{each.span.last}" if each.span else "-"
        dataset = f"with the schema of {each.like}" if each.like else "with its own schema"
        if each.resembles:
            dataset += f" ({each.resembles})"
        if each.problem:
            dataset = f"not as it is: {each.problem}"
        else:
            names.append(each.relation.name)
        rows = each.rows.removesuffix("s").removesuffix(" row")
        cells = (printable(each.relation.name), rows, days, each.key, printable(each.time))
        click.echo(_row(*(cell or "-" for cell in cells), dataset))
    if names:
        click.echo(
            f"\nNext: {command} TABLE..., such as `{command} {_quoted(names[0])}`, or "
            f"`{command} --all`."
        )
    else:
        click.echo("\nNo table can be exported as it is: docs/first-backend.md.")


def print_plan(plan: Plan) -> None:
    """What was chosen for a table."""
    table = printable(plan.relation.name)
    days = f" from {plan.span.first} to {plan.span.last}" if plan.span else ""
    schema = f", with the schema of {plan.like_name}" if plan.like else ""
    others = f" (or {listed(plan.other_times)})" if plan.other_times else ""
    click.echo(f"{plan.name}: {table}, {plan.rows}{days}{schema}")
    click.echo(f"  key          {listed(plan.key.columns)}: {plan.key.why}")
    click.echo(f"  time column  {printable(plan.time.column)}{others}")
    if plan.resembles:
        click.echo(f"  schema       its own. {_way_to_map(plan.resembles)}")
    if plan.with_nulls:
        click.echo(f"  nullable     {', '.join(plan.with_nulls)}: rows have no value there")
    if plan.level_number:
        click.echo(f"  level        {_level_number(plan)}")
    if plan.left_out:
        click.echo(f"  kept         {listed(plan.left_out)}: not in the schema of {plan.like_name}")
    if marks := deletion_marks(plan.relation.types):
        about = f"{listed(marks)} may mark deleted rows, which are exported like all others"
        click.echo(f"  deleted      {about}: docs/presets.md")
    if plan.with_rules:
        about = f"proposed for {listed(plan.with_rules)}, as comments in schema.py"
        click.echo(f"  rules        {about}: docs/first-backend.md")
    click.echo(f"  privacy      {_policy(plan)}")
    for warning in plan.warnings:
        click.echo(f"  WARN         {warning}.")


def _level_number(plan: Plan) -> str:
    """What happens to numbers such as the severities 0 to 7 of syslog, and how they are kept."""
    name = free_column_name(
        f"{plan.level_number}_number", {as_readers_compare(each) for each in plan.relation.types}
    )
    column, copy = quoted_column(plan.level_number), quoted_column(name)
    query = f"query: SELECT *, {column} AS {copy} FROM {quoted(plan.relation.name)}"  # noqa: S608
    where = "in place of `table:`"
    if plan.query:
        query, where = f", {column} AS {copy}", "to the columns of `query:`"
    return printable(
        f"the numbers in {plan.level_number} become names, several of them the same, and are not "
        f"exported. To keep them as well, write `{query}` {where}, and `extra_columns: keep`"
    )


def _way_to_map(near: Resemblance) -> str:
    """How a table that lacks columns is exported like a dataset of the project all the same."""
    name = near.dataset.name
    return (
        f"The table is {near}. To export it as {name}, write it as `table:` in the defs.yaml of "
        f"{name}: `exporter doctor --dataset {name}` then proposes the rest"
    )


def _policy(plan: Plan) -> str:
    """What the proposed policy is about."""
    if plan.proposal is None:
        return plan.no_proposal
    if plan.like and plan.like.config.privacy:
        return "as the policy in its defs.yaml says"
    personal = plan.proposal.personal
    found = f"personal data in {listed(personal)}" if personal else "no personal data was found"
    how = "active; it needs a key" if plan.with_policy else "as comments in defs.yaml"
    return f"{found}. A policy is proposed, {how}: docs/privacy.md"


def print_files(plan: Plan, definitions: Definitions) -> None:
    """The files that would be written."""
    folder = folder_of(plan, definitions)
    for name, text in files_of(plan, definitions).items():
        if text:
            click.echo(f"\n--- {shown_path(folder / name)}\n{text}", nl=False)
    click.echo("")


def steps_to_write(plans: list[Plan], planner: Planner, command: str) -> Iterator[str]:
    """The command that follows `--dry-run`."""
    if not plans:
        return
    yield "Nothing was written. Next:"
    folders = (folder_of(plan, planner.definitions) for plan in plans)
    there = [shown_path(folder) for folder in folders if folder.exists()]
    if there and "--force" not in command.split():
        yield f"  # --force replaces the files of {', '.join(there)}"
        command += " --force"
    yield f"  {command}"


def next_steps(plans: list[Plan], planner: Planner) -> Iterator[str]:
    """The commands that follow."""
    if not plans:
        return
    yield "Next:"
    yield from _range(plans)
    yield from _removal(planner)
    yield "  exporter doctor"
    if known := [plan for plan in plans if plan.days_known]:
        first, last = _days(known)
        names = " ".join(plan.name for plan in known)
        yield f"  exporter export {names} {last}"
        if len(known) > 1 and first != last and len(days_between(first, last)) > _LONG_DAYS:
            yield "  # Several commands at once, each for other datasets, use more than one core:"
        if first != last:
            yield f"  exporter export {names} {first} {last} --days-with-rows"
    if unknown := [plan.name for plan in plans if not plan.days_known]:
        yield f"  # The days of {listed(unknown)} could not be read in time. Replace FIRST and LAST"
        yield "  # with the first and last day of the table:"
        for name in unknown:
            yield f"  exporter export {name} FIRST LAST --days-with-rows"


def _removal(planner: Planner) -> Iterator[str]:
    """The command that removes what this database has no rows for."""
    if not (missing := dict(planner.without_table())):
        return
    sets = dict(planner.training_sets_of(set(missing)))
    using = f" Training sets that use them: {', '.join(sets)}." if sets else ""
    yield f"  # not in this database: {', '.join(missing)}.{using} If no other has them:"
    folders = dict.fromkeys([*missing.values(), *sets.values()])
    yield f"  rm -r {' '.join(map(shown_path, folders))}"


def _range(plans: list[Plan]) -> Iterator[str]:
    """Settings for `.env`, if the configured days are others than those of the data."""
    firsts = [plan.span.first for plan in plans if plan.span]
    lasts = [plan.span.last for plan in plans if plan.span]
    end = settings.end_date()
    if firsts and min(firsts) < settings.start_date():
        yield f"  # in .env: EXPORTER_START_DATE={min(firsts)}"
    if lasts and end is not None and max(lasts) >= end:
        yield "  # in .env: EXPORTER_END_DATE="


def _days(plans: list[Plan]) -> tuple[str, str]:
    """First and last day to export; placeholders without rows."""
    spans = [plan.span for plan in plans if plan.span]
    if not spans:
        return "FIRST", "LAST"
    yesterday = str(settings.today() - dt.timedelta(days=1))
    first = min(span.first for span in spans)
    return first, max(first, min(max(span.last for span in spans), yesterday))


def shown_path(folder: Path) -> str:
    """A folder as an argument in a shell, relative to the working directory if it is below it."""
    here = Path.cwd()
    below = folder.relative_to(here) if folder.is_relative_to(here) else folder
    return shlex.quote(str(below))


def _row(*cells: str) -> str:
    *fixed, last = cells
    return "  ".join([*(f"{c:<{w}}" for c, w in zip(fixed, _WIDTHS, strict=True)), last])


def _quoted(name: str) -> str:
    """A name as an argument in a shell."""
    return shlex.quote(printable(name))
