"""`exporter init`: the command; `new_datasets` decides and writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from zoneinfo import available_timezones

import click

from exporter_pipelines import databases, dotenv_file
from exporter_pipelines.cli.init_output import (
    again,
    next_steps,
    print_candidates,
    print_files,
    print_plan,
    shown_path,
    steps_to_write,
)
from exporter_pipelines.contracts.dataset_name import DATASET_NAME
from exporter_pipelines.contracts.inspection import Inspection, Relation
from exporter_pipelines.contracts.source_config import DEFAULT_URL, VARIABLE_NAME, SourceConfig
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.errors import ExporterError, UnknownTableError, listed, printable
from exporter_pipelines.new_datasets import (
    Plan,
    Planner,
    UnsuitableTableError,
    candidates,
    write,
)

_SHOWN = 20


@click.command()
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@click.option("--url", "variable", metavar="VARIABLE", default=DEFAULT_URL,
              help=f"Environment variable with the URL, instead of {DEFAULT_URL}.")  # fmt: skip
@click.option("--all", "every", is_flag=True, help="Write a dataset for every table that can be.")
@click.option("--schema", metavar="S", help="Only tables of this schema of the database.")
@click.option("--name", metavar="N", help="Name of the dataset; only for one TABLE.")
@click.option("--timezone", metavar="ZONE", help="Zone of times that are stored without one.")
@click.option("--time-column", metavar="C", help="Decides the day of a row; only for one TABLE.")
@click.option("--own-schema", is_flag=True, help="Do not use the schema of logs, anomalies or ips.")
@click.option("--privacy", is_flag=True, help="Use the proposed privacy policy at once.")
@click.option("--force", is_flag=True, help="Replace the files of datasets that exist.")
@click.option("--dry-run", is_flag=True, help="Print the files instead of writing them.")
@click.pass_context
def init(
    context: click.Context,
    tables: tuple[str, ...],
    variable: str,
    every: bool,
    schema: str | None,
    name: str | None,
    timezone: str | None,
    time_column: str | None,
    own_schema: bool,
    privacy: bool,
    force: bool,
    dry_run: bool,
) -> None:
    """Write defs.yaml and schema.py for tables of your database.

    Reads the database of EXPORTER_SOURCE_URL, and changes nothing in it. Without a TABLE, it lists
    the tables: rows, first and last day, and the key and the time column that it would choose. With
    a TABLE, it writes a folder with the definition of a dataset: all columns with their types, key,
    time column, time zone and encoding. A table that holds logs, anomalies or IP records gets the
    schema of that dataset instead, and `columns:` for its names.

    It also proposes a privacy policy, from names, types and values of the columns. In the file it
    is a comment, and no value of a row is in it. With --privacy it is a setting.

    Look at the files before the first export: what the columns mean, only you know.

    \b
    Exit codes:
      0  success
      1  a table that you named cannot be exported as it is, a file cannot be written, or the
         database cannot be read
      2  the command was used incorrectly
    """  # noqa: D301 - click wants the character itself
    dotenv_file.load_dotenv()
    _check(tables, variable, every, name, timezone, time_column)
    try:
        with databases.open_inspection(variable) as inspection:
            click.echo(f"{inspection.described()}\n")
            planner = Planner(
                inspection, Definitions(), timezone, variable,
                use_shipped=not own_schema, with_policies=privacy,
            )  # fmt: skip
            relations = _relations(inspection, tables, schema)
            if not tables and not every:
                print_candidates(candidates(inspection, relations, planner.shipped), again(context))
                return
            done, failed = [], False
            for relation in relations:
                try:
                    plan = planner.plan(relation, name, time_column)
                    _write(plan, planner, force=force, dry_run=dry_run)
                    done.append(plan)
                except UnsuitableTableError as error:
                    click.echo(f"{'Skipped' if every else 'Error'}: {error}\n", err=True)
                    failed = failed or not every
                except ExporterError as error:
                    said = f"{error.message.rstrip('.')}. {error.hint}"
                    click.echo(f"Error: {printable(relation.name)}: {said}\n", err=True)
                    failed = True
            if dry_run:
                steps = steps_to_write(done, planner, again(context))
            else:
                steps = next_steps(done, planner)
            for line in steps:
                click.echo(line)
    except ExporterError as error:
        raise click.ClickException(str(error)) from None
    raise SystemExit(failed)


def _write(plan: Plan, planner: Planner, *, force: bool, dry_run: bool) -> None:
    """Write the dataset of one table, or print its files."""
    print_plan(plan)
    if dry_run:
        print_files(plan, planner.definitions)
    else:
        folder = write(plan, planner.definitions, force=force)
        click.echo(f"  wrote        {shown_path(folder)}\n")


def _check(
    tables: Sequence[str],
    variable: str,
    every: bool,
    name: str | None,
    timezone: str | None,
    time_column: str | None,
) -> None:
    if not re.fullmatch(VARIABLE_NAME, variable):  # without the value: it may be a URL
        raise click.UsageError(
            f"--url takes the name of an environment variable, such as {DEFAULT_URL}. Set the "
            "variable in .env to the URL of the database."
        )
    if every and tables:
        raise click.UsageError("Name tables or give --all, not both.")
    if name is not None and len(tables) != 1:
        raise click.UsageError("--name is for one TABLE.")
    if time_column is not None and len(tables) != 1:
        raise click.UsageError("--time-column is for one TABLE.")
    if name is not None and not re.fullmatch(DATASET_NAME, name):
        raise click.UsageError(
            f"{name!r} cannot be the name of a dataset. Use small letters, digits and "
            "underscores, and begin with a letter."
        )
    if timezone is not None and timezone not in available_timezones():
        raise click.UsageError(f"{timezone!r} is not an IANA time zone such as Europe/Berlin.")


def _relations(inspection: Inspection, tables: Sequence[str], schema: str | None) -> list[Relation]:
    if tables:
        return [_found(inspection, table, schema) for table in tables]
    relations = inspection.relations(schema)
    if schema and not relations:
        raise UnknownTableError(f"The schema {schema!r} has no tables, or does not exist.")
    return relations


def _found(inspection: Inspection, table: str, schema: str | None) -> Relation:
    """The table or view of this name.

    Raises:
        UnknownTableError: there is none.
    """
    name = f"{schema}.{table}" if schema and "." not in table else table
    relation = inspection.find(_named(name))
    if relation is None:
        relations = inspection.relations()
        known = [each.name for each in relations]
        for written in (name, f"main.{name}"):  # SQLite: a table that is called main.x
            if written in known:  # one that `find` cannot name
                return relations[known.index(written)]
        more = f" and {len(known) - _SHOWN} more" if known[_SHOWN:] else ""
        meant = [each for each in known if f".{_plain(each)}".endswith(f".{_plain(name)}")]
        question = f"Did you mean {' or '.join(map(repr, meant[:3]))}? " if meant else ""
        raise UnknownTableError(
            f"The table {name!r} does not exist or is not visible to this user "
            f"(there are: {listed(known[:_SHOWN])}{more}).",
            f"{question}Write schema.table for another schema, without SQL's quotes; case matters.",
        )
    return relation


def _plain(name: str) -> str:
    """A name without quotes, in small letters, to find the one that was meant."""
    return name.replace('"', "").lower()


def _named(table: str) -> SourceConfig:
    return SourceConfig(table=table, key="id", time_column="id")
