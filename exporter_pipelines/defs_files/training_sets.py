"""The training sets below `defs/`: their settings, checked, and which of them are broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.defs_files.checks import attributes_of
from exporter_pipelines.defs_files.definitions import Definitions, refusal_of
from exporter_pipelines.defs_files.document_parts import TRAINING_SET
from exporter_pipelines.defs_files.documents import Document
from exporter_pipelines.defs_files.mistakes import invalid, located
from exporter_pipelines.errors import ConfigurationError, UnknownNameError

_BESIDE = (
    "A dataset needs its own folder among the definitions, also if it is only read here. "
    "If you removed the dataset, remove the folder of this training set as well."
)


@dataclass(frozen=True)
class TrainingSetDefinition:
    """A training set as a file defines it.

    Attributes:
        name: Its name; that of its folder when the file has none.
        file, number: The file, and which document of it.
        config: Its settings; None when there is a mistake.
        mistake: What is wrong, with file and line; None when nothing is.
    """

    name: str
    file: Path
    number: int
    config: TrainingSetConfig | None
    mistake: ConfigurationError | None = None


class TrainingSets:
    """One reading of the training sets of a folder of definitions."""

    def __init__(self, definitions: Definitions | None = None) -> None:
        self._definitions = Definitions() if definitions is None else definitions
        self._found = [
            self._read(file, document)
            for file, document in self._definitions.other_documents()
            if document.value.get("type") == TRAINING_SET
        ]

    def __iter__(self) -> Iterator[TrainingSetDefinition]:
        return iter(self._found)

    def names(self) -> list[str]:
        """Names of all training sets, sorted."""
        return sorted({each.name for each in self._found})

    def named(self, name: str) -> TrainingSetConfig:
        """The settings of a training set.

        Raises:
            UnknownNameError: there is none of this name; the message lists the names.
            ConfigurationError: there is a mistake in it; the message begins with file and line.
        """
        for each in self._found:
            if each.name == name:
                if each.mistake:
                    raise each.mistake
                assert each.config
                return each.config
        raise UnknownNameError("training set", name, self.names())

    def in_folder(self, folder: Path, number: int) -> TrainingSetDefinition | None:
        """The training set in a document of the file of a folder."""
        for each in self._found:
            if (each.file.parent, each.number) == (folder, number):
                return each
        return None

    def _read(self, file: Path, document: Document) -> TrainingSetDefinition:
        attributes = document.value.get("attributes")
        given = attributes.get("name") if isinstance(attributes, dict) else None
        name = given if isinstance(given, str) and given.isidentifier() else file.parent.name
        try:
            return TrainingSetDefinition(name, file, document.number, self._checked(document))
        except ConfigurationError as mistake:
            return TrainingSetDefinition(name, file, document.number, None, mistake)

    def _checked(self, document: Document) -> TrainingSetConfig:
        attributes = attributes_of(document)
        try:
            config = TrainingSetConfig.model_validate(attributes)
        except ValidationError as error:
            raise invalid(document, TrainingSetConfig, error) from None
        known = self._definitions.exported_names()
        with located(document, "name"):
            if refused := refusal_of(config.name):
                raise ConfigurationError(f"the name {config.name!r} {refused}.")
            if config.name in known:
                raise ConfigurationError(
                    f"the name {config.name!r} is taken by a dataset.",
                    "A name is an asset key, so it must be unique.",
                )
        with located(document, "dataset"):
            if config.dataset not in known:
                raise UnknownNameError("dataset", config.dataset, known, _BESIDE)
        for number, source in enumerate(config.labels):
            with located(document, "labels", number):
                if source.dataset not in known:
                    what = f"labels[{number}]: dataset"
                    raise UnknownNameError(what, source.dataset, known, _BESIDE)
        return config
