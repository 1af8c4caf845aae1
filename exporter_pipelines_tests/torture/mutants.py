"""Mistakes in the accounting, each a changed line of the engine, and the test that must find it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes:
        name: What goes wrong.
        file: Below `exporter_pipelines/`.
        old, new: A text that stands there exactly once, and what it becomes.
        test: `module::function` below `exporter_pipelines_tests/`; passes without the mistake.
    """

    name: str
    file: str
    old: str
    new: str
    test: str

    def applied(self, package: Path) -> str:
        """The source with the mistake.

        Raises:
            ValueError: the text does not stand there exactly once any more.
        """
        source = (package / self.file).read_text()
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.old!r} does not stand once in {self.file}")
        return source.replace(self.old, self.new)


_BATCHES = "test_counting::test_the_size_of_batches_changes_no_count"

MUTANTS = (
    Mutant(
        "an exported row is not counted",
        "engine/account_for_rows.py",
        "tally.rows_exported += len(valid)",
        "tally.rows_exported += max(len(valid) - 1, 0)",
        _BATCHES,
    ),
    Mutant(
        "rows are counted twice",
        "engine/account_for_rows.py",
        "tally.rows_read += len(read)",
        "tally.rows_read += 2 * len(read)",
        _BATCHES,
    ),
    Mutant(
        "rejected rows are not counted",
        "engine/account_for_rows.py",
        "tally.rows_rejected += rejected",
        "tally.rows_rejected += 0",
        _BATCHES,
    ),
    Mutant(
        "a rejected row is exported as well",
        "engine/account_for_rows.py",
        "keep[[rejection.row for rejection in rejections]] = False",
        "keep[[rejection.row for rejection in rejections[1:]]] = False",
        _BATCHES,
    ),
    Mutant(
        "a rejected row is counted once per reason",
        "engine/quarantine.py",
        "return len(rows)",
        "return sum(map(len, reasons.values()))",
        "test_counting::test_a_row_with_several_reasons_is_rejected_once",
    ),
    Mutant(
        "a rejected row is lost",
        "engine/quarantine.py",
        "self._format.encode(rejected, Counter())",
        "self._format.encode(rejected.slice(1), Counter())",
        _BATCHES,
    ),
    Mutant(
        "a broken rule is not counted",
        "engine/account_for_rows.py",
        "tally.failures[rule, column] += 1",
        "tally.failures[rule, column] += 0",
        _BATCHES,
    ),
    Mutant(
        "filtered rows are not counted",
        "engine/filter_rows.py",
        "filtered[row_filter.name] += pc.sum(removed).as_py() or 0",
        "filtered[row_filter.name] += 0",
        "test_transforms::test_filtered_rows_are_counted_by_the_first_filter_that_leaves_them_out",
    ),
    Mutant(
        "an exported row is not written",
        "engine/data_files.py",
        "part.format.encode(rows, self.changed)",
        "part.format.encode(rows.slice(1), self.changed)",
        _BATCHES,
    ),
    Mutant(
        "rows are written twice",
        "engine/data_files.py",
        "part.format.encode(rows, self.changed)",
        "2 * [*part.format.encode(rows, self.changed)]",
        _BATCHES,
    ),
    Mutant(
        "the last batch is skipped",
        "sources/postgres/snapshot.py",
        "in self._connection.stream(query.rows()):",
        "in list(self._connection.stream(query.rows()))[:-1]:",
        _BATCHES,
    ),
    Mutant(
        "the last row of a batch is skipped",
        "sources/postgres/snapshot.py",
        "range(0, batch.num_rows, max_rows)",
        "range(0, batch.num_rows - 1, max_rows)",
        _BATCHES,
    ),
    Mutant(
        "the end of the day belongs to the day",
        "sources/postgres/times.py",
        "({column} >= {start} AND {column} < {end})",
        "({column} >= {start} AND {column} <= {end})",
        "test_day_windows::test_an_aware_row_at_a_border_is_found_in_one_day",
    ),
    Mutant(
        "the end of a day by another clock belongs to the day",
        "sources/postgres/query.py",
        "{time} >= {start} AND {time} < {end}",
        "{time} >= {start} AND {time} <= {end}",
        "test_day_windows::test_a_naive_row_at_a_border_is_found_in_one_day",
    ),
    Mutant(
        "rows that do not add up are not noticed",
        "contracts/tally.py",
        "return max(abs(self.source_rows - kept), abs(self.rows_read - kept))",
        "return abs(self.rows_read - kept) * 0",
        "test_counting::test_a_day_whose_rows_do_not_add_up_is_held",
    ),
    Mutant(
        "rows that the source has and that never arrived are not noticed",
        "contracts/tally.py",
        "return max(abs(self.source_rows - kept), abs(self.rows_read - kept))",
        "return abs(self.rows_read - kept)",
        "test_counting::test_a_day_whose_rows_do_not_add_up_is_held",
    ),
    Mutant(
        "rows of another day are not noticed",
        "engine/judge.py",
        '"rows_outside_window", tally.rows_outside_window, "ERROR"',
        '"rows_outside_window", tally.rows_outside_window, "WARN"',
        "test_counting::test_a_day_whose_rows_do_not_add_up_is_held",
    ),
)
