"""A dataset for one table, before its files are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.inspection import DaySpan, Relation
from exporter_pipelines.contracts.source_config import DEFAULT_URL
from exporter_pipelines.contracts.table_profile import Kind, TimeCandidate
from exporter_pipelines.new_datasets.keys import Key

if TYPE_CHECKING:
    from exporter_pipelines.new_datasets.shipped import Resemblance
    from exporter_pipelines.policy_proposals import Proposal


@dataclass(frozen=True)
class Zone:
    """The time zone of times that are stored without one.

    Attributes:
        name: IANA name.
        why: For a comment.
        warning: What a user should check; empty for nothing.
    """

    name: str
    why: str
    warning: str = ""


@dataclass(frozen=True)
class PlannedColumn:
    """One exported column.

    Attributes:
        name: Exported name.
        source: Name in the table.
        kind: Its type in the schema.
        nullable: Whether a row without a value is valid.
        remarks: Lines for a comment.
        values: Of a text column with few values, for the proposal of a rule.
        has_sampled_values: Whether they are those of a sample of the rows.
    """

    name: str
    source: str
    kind: Kind
    nullable: bool
    remarks: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    has_sampled_values: bool = False


@dataclass(frozen=True)
class Plan:
    """A dataset for one table or view.

    Attributes:
        name: Of the dataset.
        relation: The table or view.
        columns: In the order of the export.
        key: What identifies a row.
        time: The time column.
        other_times: Columns that could be the time column as well.
        zone: Of times that are stored without one.
        query: Instead of `table:`; empty for none.
        unseen: Columns whose values were not read, because they may be personal.
        rows: Of the table, as text.
        basis: The rows from which types and nulls are known, as text.
        span: Its first and last day; None without rows, or if they are not known.
        warnings: What a user should know before the first export.
        like: The dataset whose schema it has; None if it gets its own.
        resembles: The shipped dataset that the table is like, and what it lacks; None for none.
        left_out: Columns of the table that this schema lacks.
        with_nulls: Columns that this schema requires, but of which rows have no value.
        proposal: A privacy policy; None if there is none, for the reason in `no_proposal`.
        no_proposal: Why; empty for no reason.
        with_policy: Whether the policy is written as a setting, and not as comments.
        days_known: False if the database did not answer in time which days it has.
        variable: Environment variable with the URL of the database.
        addresses: Exported names of text columns with IP addresses, for the proposal of a rule.
        level_number: Column of numbers that a transform makes levels of; empty for none.
    """

    name: str
    relation: Relation
    columns: tuple[PlannedColumn, ...]
    key: Key
    time: TimeCandidate
    other_times: tuple[str, ...]
    zone: Zone
    query: str
    unseen: tuple[str, ...]
    rows: str
    basis: str
    span: DaySpan | None
    warnings: tuple[str, ...]
    like: Dataset | None = None
    resembles: Resemblance | None = None
    left_out: tuple[str, ...] = ()
    with_nulls: tuple[str, ...] = ()
    proposal: Proposal | None = None
    no_proposal: str = ""
    with_policy: bool = False
    days_known: bool = True
    variable: str = DEFAULT_URL
    addresses: tuple[str, ...] = ()
    level_number: str = ""

    def exported(self, source: str) -> str:
        """The exported name of a column of the table."""
        return next(column.name for column in self.columns if column.source == source)

    @property
    def with_rules(self) -> list[str]:
        """The columns for which a rule is proposed."""
        return [c.name for c in self.columns if c.values or c.name in self.addresses]

    @property
    def like_name(self) -> str:
        """The name of the dataset whose schema it has; empty for none."""
        return self.like.name if self.like else ""

    @property
    def key_name(self) -> str:
        """The exported name of the key."""
        return self.key.joined_name or self.exported(self.key.columns[0])
