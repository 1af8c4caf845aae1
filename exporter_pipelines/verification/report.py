"""The findings of a verification, and what was checked.

Belongs here: the fields of a finding. Does not belong here: checking days (`days`), or printing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from exporter_pipelines.contracts.structure import Misplaced
from exporter_pipelines.errors import printable

KINDS = {
    "unknown_dataset": "A folder of the output belongs to no dataset or preset of the project.",
    "foreign": "A file or folder that no export wrote.",
    "symbolic_link": "A symbolic link in the place of an export; it was not followed.",
    "unreadable": "No permission to read it, or a disk error.",
    "mode": "Other users may read or change it, or its owner cannot read it.",
    "manifest_missing": "The folder of a day has no `_manifest.json`.",
    "manifest_damaged": "The manifest cannot be read, or was changed after it was written.",
    "manifest_wrong": "The manifest is inconsistent, or does not match its folder or its files.",
    "manifest_unsealed": "The manifest has no checksum; an earlier version wrote it (warning).",
    "file_missing": "A file of the manifest does not exist.",
    "size_differs": "The size of a file differs from the manifest.",
    "content_differs": "The sha256 of a file differs from the manifest.",
    "undecodable": "The rows of a file cannot be decoded, although the file is unchanged.",
    "rows_differ": "The number of rows or the min/max timestamp differs from the manifest.",
    "nulls_differ": "A column has other nulls than the manifest states (warning, if an earlier "
    "version wrote the manifest).",
    "schema_differs": "`schema.arrow` forbids nulls in a column that has some on this day.",
    "day_missing": "The ledger has an export of the day, but its folder does not exist.",
    "day_older": "The day has an earlier export than the last one in the ledger.",
    "day_unknown": "The day has an export that is not in the ledger.",
    "ledger_missing": "A dataset with exports has no ledger; the next export begins it (warning).",
    "ledger_damaged": "The ledger of a day has lines that are not entries (warning).",
    "output_folder": "The output folder is not the one that was exported to before.",
    "not_kept": "The source no longer keeps the day (`--source`, warning).",
    "source_missing": "Rows of the database are missing in the export (`--source`).",
    "source_extra": "Rows of the export are missing in the database (`--source`).",
    "source_changed": "Rows differ between export and database (`--source`).",
    "source_columns": "A new export would have other columns (`--source`).",
    "source_privacy": "A new export would have another privacy policy, key or epoch (`--source`).",
    "privacy_missing": "The day was exported before the dataset had a privacy policy "
    "(`--privacy`).",
    "raw_identifiers": "The day has identifiers that the privacy policy should have removed "
    "(`--privacy`).",
}
"""Kind -> meaning. The names are stable."""


@dataclass(frozen=True)
class VerifyFinding:
    """One problem.

    Attributes:
        level: `FAIL`, or `warn` for a harmless problem.
        dataset: Name of the folder.
        day: `YYYY-MM-DD`; None if the problem concerns no single day.
        kind: A name in `KINDS`.
        path: Relative to the output folder.
        message: The problem, without row content.
        hint: What to do next.
    """

    level: Literal["FAIL", "warn"]
    dataset: str
    day: str | None
    kind: str
    path: str
    message: str
    hint: str


@dataclass
class VerifyReport:
    """The findings of one day, or (without `day`) of the folders of one dataset.

    Attributes:
        generation: `generation_of` the manifest that was read; None if there was none to read.
    """

    dataset: str
    day: str | None = None
    findings: list[VerifyFinding] = field(default_factory=list)
    files: int = 0
    rows: int = 0
    size_bytes: int = 0
    generation: str | None = None

    def add(
        self,
        kind: str,
        path: str,
        message: str,
        hint: str | None = None,
        *,
        level: Literal["FAIL", "warn"] = "FAIL",
    ) -> None:
        """Note a finding; the usual hint is to export the day again.

        `path` is relative to the output folder.
        """
        assert kind in KINDS
        shown = printable(path)
        hint = self.export_again if hint is None else hint
        self.findings.append(
            VerifyFinding(
                level, printable(self.dataset), self.day, kind, shown, printable(message), hint
            )
        )

    def add_misplaced(self, *found: Misplaced | None) -> None:
        """Note what is wrong with places."""
        for each in filter(None, found):
            self.add(each.kind, each.path, each.message, each.hint)

    def add_error(self, path: str, error: OSError) -> None:
        """Note why something could not be opened or read."""
        self.add_misplaced(Misplaced.unopened(path, error))

    @property
    def failed(self) -> bool:
        """Whether there is more than warnings."""
        return any(finding.level == "FAIL" for finding in self.findings)

    @property
    def export_again(self) -> str:
        """The command that exports the day again."""
        return f"Export the day again: exporter export {printable(self.dataset)} {self.day}"
