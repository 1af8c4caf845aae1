"""All definitions below `defs/`, read together: names, datasets, and which of them are broken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.dataset_name import DATASET_NAME
from exporter_pipelines.contracts.reserved_names import EXPORT_REPORT, refused_dataset_name
from exporter_pipelines.defs_files.checks import (
    attributes_of,
    checked_dataset,
    checked_preset,
    is_ours,
    is_preset,
    preset_of,
)
from exporter_pipelines.defs_files.document_parts import check_document, needs_dagster
from exporter_pipelines.defs_files.documents import Document, read_documents
from exporter_pipelines.defs_files.folders import FILE_NAMES, Found, definition_files
from exporter_pipelines.defs_files.mistakes import located
from exporter_pipelines.defs_files.sentences import mistake_at
from exporter_pipelines.errors import ConfigurationError, UnknownNameError
from exporter_pipelines.stores import layout

DEFS = Path(__file__).parent.parent / "defs"
"""Where the definitions of the package are."""

_OF_THE_REPORT = (EXPORT_REPORT, layout.REPORT)
"""The asset key and the folder of the export report."""

_OF_TRAINING_SETS = (layout.TRAINING_SETS,)
"""The folder of the training sets."""


@dataclass(frozen=True, eq=False)
class Definition:
    """A dataset or a preset as a file defines it, possibly with a mistake.

    Attributes:
        name: Its name; that of its folder when the file has none that could be used.
        is_preset: Whether it is a preset, as far as the file says.
        file: Where it stands.
        document: Which one of the file it is; None when the file cannot be read.
        mistake: What is wrong with the file as a whole.
    """

    name: str
    is_preset: bool
    file: Path
    document: Document | None = None
    mistake: ConfigurationError | None = None


class Definitions:
    """One reading of a folder of definitions.

    Reading finds names; a document is checked when it is asked for.

    Args:
        folder: The folder; when left out, that of EXPORTER_DEFS_DIR, or else `DEFS`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or settings.defs_folder() or DEFS
        self._files = {
            found.path: _read_file(found) for found in definition_files(self.folder, _goes_on)
        }
        self._results: dict[Definition, Dataset | ConfigurationError] = {}

    def __iter__(self) -> Iterator[Definition]:
        return iter(self._all)

    @cached_property
    def _all(self) -> list[Definition]:
        """In the order of their folders."""
        documents: list[tuple[Path, Document | None, ConfigurationError | None]] = [
            (file, document, mistake)
            for file, (found, mistake) in self._files.items()
            for document in found or _nothing_if(mistake)
            if document is None or mistake or is_ours(document)
        ]
        taken = {name for _, document, _ in documents if (name := _usable_name(document))}
        return [
            Definition(
                _usable_name(document) or name_like(_folder_of(file).name, taken),
                document is not None and is_preset(document),
                file,
                document,
                mistake,
            )
            for file, document, mistake in documents
        ]

    @property
    def left_out(self) -> set[Path]:
        """Folders whose own file Dagster could not read, or that cannot be looked into."""
        return {_folder_of(file) for file, (_, mistake) in self._files.items() if mistake}

    @property
    def need_dagster(self) -> bool:
        """Whether there is anything that only Dagster can judge, such as a file of Python."""
        documents = (
            each for found, mistake in self._files.values() if not mistake for each in found
        )
        folders = {file.parent for file in self._files}
        return any(map(needs_dagster, documents)) or any(
            folders.isdisjoint(file.parents)
            for file in self.folder.rglob("*.py")
            if file.name != "__init__.py"
        )

    def file_of(self, path: Path) -> Path:
        """The file of a folder; a file of Python is its own."""
        return next((file for file in self._files if file.parent == path), path)

    def other_documents(self) -> Iterator[tuple[Path, Document]]:
        """The documents of readable files that define neither a dataset nor a preset."""
        for file, (found, mistake) in self._files.items():
            if mistake is None:
                yield from ((file, document) for document in found if not is_ours(document))

    def dataset_names(self) -> list[str]:
        """Names of all datasets, sorted; presets are not among them."""
        return sorted({each.name for each in self if not each.is_preset})

    def preset_names(self) -> list[str]:
        """Names of all presets, sorted."""
        return sorted({each.name for each in self if each.is_preset})

    def exported_names(self) -> list[str]:
        """Names of all datasets, then of all presets: everything that has a folder of exports."""
        datasets = self.dataset_names()
        return [*datasets, *(name for name in self.preset_names() if name not in datasets)]

    def in_folder(self, folder: Path, number: int) -> Definition | None:
        """The definition in a document of the file of a folder."""
        for each in self:
            if each.document and (each.file.parent, each.document.number) == (folder, number):
                return each
        return None

    def named(self, name: str) -> Dataset:
        """A dataset or a preset with its row schema.

        Raises:
            UnknownNameError: there is none of this name; the message lists the names.
            ConfigurationError: there is a mistake in it; the message begins with file and line.
        """
        for each in self:
            if each.name == name:
                return self.checked(each)
        raise UnknownNameError("dataset", name, sorted(self.exported_names()))

    def checked(self, definition: Definition) -> Dataset:
        """The dataset of a definition.

        Raises:
            ConfigurationError: there is a mistake in it; the message begins with file and line.
        """
        if definition not in self._results:
            try:
                self._results[definition] = self._check(definition)
            except ConfigurationError as error:
                self._results[definition] = error
        result = self._results[definition]
        if isinstance(result, ConfigurationError):
            raise result
        return result

    def _check(self, definition: Definition) -> Dataset:
        if definition.mistake or definition.document is None:
            raise definition.mistake or ConfigurationError(f"{definition.file} is empty.")
        document = definition.document
        attributes_of(document)
        if not definition.is_preset:
            dataset = checked_dataset(document)
            self._check_name(document, dataset.name)
            return dataset
        preset = preset_of(document)
        self._check_name(document, preset.name)
        with located(document, "like"):
            base = self._base(preset.like)
        return checked_preset(document, preset, base)

    def broken(self) -> list[tuple[Definition, ConfigurationError]]:
        """The definitions with a mistake, and what it is."""
        found = []
        for each in self:
            try:
                self.checked(each)
            except ConfigurationError as error:
                found.append((each, error))
        return found

    def usable(self) -> Iterator[Dataset]:
        """The datasets and presets without a mistake."""
        for each in self:
            try:
                yield self.checked(each)
            except ConfigurationError:
                continue  # `broken` tells

    def _check_name(self, document: Document, name: str) -> None:
        with located(document, "name"):
            if refused := refusal_of(name):
                raise ConfigurationError(
                    f"the name {name!r} {refused}.",
                    "A name is an asset key and an output folder; choose another one.",
                )
            folders = [
                each.file.parent.name
                for each in self
                if each.document and _usable_name(each.document) == name
            ]
            if len(folders) > 1:
                raise ConfigurationError(
                    f"the name {name!r} is taken twice: in {' and '.join(folders)}.",
                    "A name is an asset key and an output folder, so it must be unique.",
                )

    def _base(self, name: str) -> Document:
        """The document of the dataset that a preset is like."""
        for each in self:
            if each.name == name and not each.is_preset:
                try:
                    self.checked(each)
                except ConfigurationError:
                    raise ConfigurationError(
                        f"the definition of {name!r} has a mistake.", "Correct that one first."
                    ) from None
                assert each.document
                return each.document
        raise UnknownNameError("like: dataset", name, self.dataset_names())


def dataset_named(name: str) -> Dataset:
    """A dataset or a preset below `defs/` as the files define it now.

    Raises:
        UnknownNameError: there is none of this name; the message lists the names.
        ConfigurationError: there is a mistake in it; the message begins with file and line.
    """
    return Definitions().named(name)


def exported_names() -> list[str]:
    """Names of all datasets below `defs/`, then of all presets."""
    return Definitions().exported_names()


def refusal_of(name: str) -> str:
    """Why no dataset can have this name, as the end of a sentence; empty for no reason."""
    if name in _OF_THE_REPORT:
        return "is taken by the export report"
    if name in _OF_TRAINING_SETS:
        return "is taken by the folder of the training sets"
    return refused_dataset_name(name)


def _goes_on(file: Path) -> bool:
    """Whether there may be definitions in the folders beside a file.

    A file of a folder is about them. One with a mistake must not hide them.
    """
    documents, mistake = _read_file(Found(file))
    values = [each.value for each in documents if isinstance(each.value, dict)]
    return mistake is not None or any(
        str(value.get("type")).endswith(".DefsFolderComponent") for value in values
    )


def _read_file(found: Found) -> tuple[list[Document], ConfigurationError | None]:
    """Its documents, and what is wrong with the file as a whole.

    Dagster takes a file as a whole, so a document that it cannot take spoils the others in it.
    """
    documents: list[Document] = []
    try:
        if found.problem:
            raise mistake_at(f"{found.path}:1", found.problem, found.hint)
        documents += read_documents(found.path)
        if not documents:
            raise mistake_at(
                f"{found.path}:1", "the file is empty.", "docs/new-dataset.md shows an example."
            )
        for document in documents:
            check_document(document)
    except ConfigurationError as error:
        return [each for each in documents if _usable_name(each)], error
    return documents, None


def _nothing_if(mistake: ConfigurationError | None) -> list[Document | None]:
    """A file that cannot be read stands for one definition, of which nothing is known."""
    return [None] if mistake else []


def _usable_name(document: Document | None) -> str | None:
    """The name in a document, if an asset and a folder can have it."""
    value = document.value if document else None
    attributes = value.get("attributes") if isinstance(value, dict) else None
    name = attributes.get("name") if isinstance(attributes, dict) else None
    fits = isinstance(name, str) and re.fullmatch(DATASET_NAME, name) and not refusal_of(name)
    return name if fits else None


def _folder_of(file: Path) -> Path:
    """A folder that cannot be looked into stands for itself."""
    return file.parent if file.name in FILE_NAMES else file


def name_like(text: str, taken: set[str]) -> str:
    """A name that an asset can have and that no other definition has."""
    name = re.sub(r"[^a-z0-9_]", "_", text.lower())[:50]
    if not re.match(r"[a-z]", name):
        name = f"broken_{name}"
    while name in taken or refusal_of(name):
        name += "_broken"
    return name
