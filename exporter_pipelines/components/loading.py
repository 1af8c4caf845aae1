"""Loads `defs/`: a definition with a mistake becomes an asset that fails with what is wrong.

Each definition is read by `defs_files`. Dagster itself would refuse all of them because of one.
"""

from __future__ import annotations

import logging

import dagster as dg

from exporter_pipelines.components.not_loaded import not_loaded
from exporter_pipelines.defs_files import Definition, Definitions
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.orchestration.dagster_internals.defs_folder import load_defs_folder
from exporter_pipelines.orchestration.exports.assets import GROUP, PRESETS_GROUP
from exporter_pipelines.orchestration.exports.broken_asset import broken_asset
from exporter_pipelines.orchestration.exports.descriptions import summary_of
from exporter_pipelines.orchestration.exports.jobs import dataset_job
from exporter_pipelines.orchestration.exports.partitions import daily_partitions

_log = logging.getLogger(__name__)


def load_datasets(*, for_ui: bool) -> dg.Definitions:
    """The definitions of all datasets and presets, with those that are broken.

    Args:
        for_ui: Whether to add what only the UI shows: the description of all component types.
    """
    definitions = Definitions()
    loaded, failures = load_defs_folder(definitions.left_out, for_ui=for_ui)
    # Dagster does not see the mistakes that `defs_files` finds, so these are others.
    broken = [*definitions.broken(), *not_loaded(definitions, failures)]
    for _, mistake in broken:
        _log.warning("A definition is broken, and its dataset cannot be exported: %s", mistake)
    if not list(definitions):
        _log.warning(
            "There is no dataset below %s. Add one: docs/new-dataset.md.", definitions.folder
        )
    return dg.Definitions.merge(loaded, _broken_definitions(broken))


def _broken_definitions(broken: list[tuple[Definition, ConfigurationError]]) -> dg.Definitions:
    """An asset and a job for each name; two definitions that take one name share them."""
    assets, jobs = [], []
    for name in dict.fromkeys(definition.name for definition, _ in broken):
        same = [(each, mistake) for each, mistake in broken if each.name == name]
        group = PRESETS_GROUP if all(each.is_preset for each, _ in same) else GROUP
        problems = list(dict.fromkeys(str(mistake) for _, mistake in same))
        files = list(dict.fromkeys(each.file for each, _ in same))
        assets.append(broken_asset(name, problems, files, daily_partitions(), group))
        jobs.append(dataset_job(name))
    return dg.Definitions(assets=assets, jobs=jobs)


def exported(datasets: dg.Definitions) -> dict[str, str]:
    """Name -> description of everything that is exported, presets last; not what depends on it."""
    groups = [GROUP, PRESETS_GROUP]
    assets = [asset for asset in datasets.assets or () if isinstance(asset, dg.AssetsDefinition)]
    specs = [spec for asset in assets for spec in asset.specs if spec.group_name in groups]
    specs.sort(key=lambda spec: groups.index(str(spec.group_name)))
    return {spec.key.to_user_string(): summary_of(spec.description) for spec in specs}
