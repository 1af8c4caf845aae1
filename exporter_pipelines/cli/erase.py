"""`exporter erase`: the command; `engine.erase` finds and erases subjects.

The value to erase is never an argument, which other users of the machine would see, and which a
shell would keep in its history.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from exporter_pipelines import dotenv_file, output_folder, settings
from exporter_pipelines.cli.exit_codes import USAGE
from exporter_pipelines.contracts.erasure import REQUEST, SubjectKind
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.errors import ConfigurationError, ExporterError
from exporter_pipelines.extras import require
from exporter_pipelines.stores.opening import open_store

if TYPE_CHECKING:
    from exporter_pipelines.engine.erase import Erase
    from exporter_pipelines.engine.erase_scope import Found
    from exporter_pipelines.privacy.subjects import Subject

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option(
    "--kind",
    type=click.Choice(get_args(SubjectKind)),
    required=True,
    help="What the values are.",
)
@click.option(
    "--request",
    metavar="ID",
    required=True,
    help="Id of the request, which manifests and the ledger state. It must not name the person.",
)
@click.option(
    "--value-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Read the values from this file instead of the standard input.",
)
@click.option("--days", type=(_DAY, _DAY), metavar="FIRST LAST", help="Look only at these days.")
@click.option("--rows", is_flag=True, help="Also remove rows whose text or JSON has the subject.")
@click.option("--apply", is_flag=True, help="Erase; without it, only list what would be erased.")
@click.option("--force", is_flag=True, help="Erase values that are short, numbers or usual words.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def erase(
    kind: SubjectKind,
    request: str,
    value_file: Path | None,
    days: tuple[dt.datetime, dt.datetime] | None,
    rows: bool,
    apply: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Erase a person, host or address from all exports, and keep it out of later ones.

    Reads the values from the standard input, one spelling or subject per line. Searches the
    published days of all datasets and presets, their rejected rows, replaced exports and training
    sets, for the values and for their pseudonyms.

    A row is removed if one of its columns is a value. In text and JSON the value is replaced by
    [redacted]. Days are published again, also those that the source no longer has. Training sets
    with a value are removed. Without --apply, it only lists what would be erased.

    \b
    Exit codes:
      0  success, also if nothing was found
      1  refused, or something could not be searched
      2  the command was used incorrectly, or a setting is wrong
    """  # noqa: D301 - click wants the character itself
    try:
        dotenv_file.load_dotenv()
        require("privacy")
        subjects = _subjects(kind, _lines(value_file))
        _check_request(request, subjects)
        run = _erase(subjects, request, days, whole_rows=rows, apply=apply)
        refused = apply and not force and _warn_of_ordinary(subjects)
        if refused:
            raise SystemExit(1)
        for found in run.run(_progress):
            if not as_json:
                _clear_progress()
                click.echo(_line(found, apply=apply))
        _clear_progress()
        recorded = not apply or _record(run)
    except ConfigurationError as error:
        _clear_progress()
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(USAGE) from None
    except ExporterError as error:
        _clear_progress()
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(_document(run, apply=apply), indent=2))
    else:
        _print_summary(run, apply=apply)
    if not apply and not force:
        _warn_of_ordinary(subjects)
    for problem in run.problems:
        place = f"{problem.dataset} {problem.day}".strip()
        click.echo(f"Error: {place} may still have it. {problem.reason}", err=True)
    if not recorded:
        click.echo("DAGSTER_HOME is not set, so the Dagster UI shows the days as before.", err=True)
    raise SystemExit(bool(run.problems))


def _lines(file: Path | None) -> list[str]:
    """The values, without empty lines."""
    if file is None and sys.stdin.isatty():
        click.echo("Write the values to erase, one per line, and end with Ctrl-D.", err=True)
    try:
        text = file.read_text("utf-8") if file else sys.stdin.read()
    except (UnicodeDecodeError, OSError):
        raise ConfigurationError("The values to erase cannot be read as UTF-8.") from None
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise ConfigurationError(
            "There is no value to erase.", "Write it to the standard input, or use --value-file."
        )
    return lines


def _subjects(kind: SubjectKind, lines: list[str]) -> list[Subject]:
    from exporter_pipelines.privacy.subjects import Subject

    return list(dict.fromkeys(Subject.of(kind, line) for line in lines))


def _check_request(request: str, subjects: list[Subject]) -> None:
    if not re.fullmatch(REQUEST, request):
        raise ConfigurationError(
            "--request is not an id.",
            "Use at most 64 letters, digits, dots, dashes and underscores.",
        )
    if any(each.text in request.casefold() for each in subjects):
        raise ConfigurationError(
            "--request has the value to erase, and manifests would state it.",
            "Use an id that does not name the person.",
        )


def _erase(
    subjects: list[Subject],
    request: str,
    days: tuple[dt.datetime, dt.datetime] | None,
    *,
    whole_rows: bool,
    apply: bool,
) -> Erase:
    from exporter_pipelines.engine.erase import Erase
    from exporter_pipelines.engine.erase_scope import Scope
    from exporter_pipelines.engine.subject_forms import SubjectForms

    chosen = None
    if days:
        chosen = (days[0].date().isoformat(), days[1].date().isoformat())
        if chosen[1] < chosen[0]:
            raise ConfigurationError(f"The last day {chosen[1]} is before the first {chosen[0]}.")
    definitions = Definitions()
    for definition, mistake in definitions.broken():
        # Its policy is not known, so neither are its pseudonyms and its key.
        raise click.ClickException(f"{definition.name}: nothing is erased. {mistake}")
    store = open_store()
    output_folder.require(store)
    forms = SubjectForms(subjects, request, whole_rows)
    datasets = {dataset.name: dataset for dataset in definitions.usable()}
    return Erase(Scope(store, forms, datasets, apply), chosen)


def _warn_of_ordinary(subjects: list[Subject]) -> bool:
    """Warn of values that other people's rows may have; whether there are any."""
    number = sum(each.is_ordinary for each in subjects)
    if number:
        click.echo(
            f"Warning: {number} of {len(subjects)} values are short, numbers or usual words. Other "
            "rows may have them, too. Look at what would be erased, then add --force to --apply.",
            err=True,
        )
    return bool(number)


def _record(run: Erase) -> bool:
    """Show the new exports in Dagster's history; False when there is none."""
    if settings.dagster_home() is None:
        return False
    days = [(found.dataset, found.day) for found in run.found if found.place == "export"]
    if days:
        # Imported here, because Dagster takes a second to load.
        from exporter_pipelines.orchestration.upkeep.erased_days import record_erased_days

        record_erased_days(run.scope.store, days, run.scope.forms.request)
    return True


def _line(found: Found, *, apply: bool) -> str:
    columns = ", ".join(f"{name} {count:,}" for name, count in sorted(found.columns.items()))
    rows, values = _number(found.rows, "row"), _number(found.values, "text")
    match found.place:
        case "export":
            what = f"{rows} {'removed' if apply else 'to remove'}"
            what += f", {values} {'redacted' if apply else 'to redact'}"
        case place:
            what = f"{place} {'removed' if apply else 'to remove'}"
    return f"{found.dataset} {found.day}  {what}  ({columns})"


def _number(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"


def _print_summary(run: Erase, *, apply: bool) -> None:
    exports = [found for found in run.found if found.place == "export"]
    if not run.found:
        later = " Later exports will not have it either." if apply else ""
        click.echo(f"The subject was found nowhere in {run.scope.store.location}.{later}")
        return
    rows = sum(found.rows for found in exports)
    values = sum(found.values for found in exports)
    others = len(run.found) - len(exports)
    more = f"; {others} other places" if others else ""
    verb = "erased" if apply else "would be erased with --apply"
    click.echo(
        f"{_number(rows, 'row')} and {_number(values, 'text')} in {_number(len(exports), 'day')}"
        f"{more} {verb}"
    )
    if apply:
        click.echo(
            "Not reached: backups, copies that were downloaded, models that were trained, the "
            "source. See docs/data-protection.md."
        )


def _document(run: Erase, *, apply: bool) -> dict[str, object]:
    return {
        "request": run.scope.forms.request,
        "applied": apply,
        "output": run.scope.store.location,
        "found": [dataclasses.asdict(found) for found in run.found],
        "problems": [dataclasses.asdict(problem) for problem in run.problems],
    }


def _progress(dataset: str, day: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{dataset} {day}", err=True, nl=False)


def _clear_progress() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
