"""Everything that an operator can click on in Dagster has a description and a page to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from pydantic import ValidationError

from exporter_pipelines.definitions import build
from exporter_pipelines.orchestration.exports.assets import export_asset
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.projects import ROOT


def described(repository: dg.RepositoryDefinition) -> Iterator[tuple[str, str | None]]:
    """Everything that has a page of its own, and its description."""
    graph = repository.asset_graph
    for node in graph.asset_nodes:
        yield f"asset {node.key.to_user_string()}", node.description
    for key in graph.asset_check_keys:
        yield f"check {key.to_user_string()}", graph.get_check_spec(key).description
    for job in repository.get_all_jobs():
        if not job.name.startswith("__"):
            yield f"job {job.name}", job.description
    for schedule in repository.schedule_defs:
        yield f"schedule {schedule.name}", schedule.description
    for sensor in repository.sensor_defs:
        yield f"sensor {sensor.name}", sensor.description
    for name, resource in repository.get_top_level_resources().items():
        yield f"resource {name}", resource.description


def config_fields(repository: dg.RepositoryDefinition) -> Iterator[tuple[str, str | None]]:
    """Every field of the Launchpad and of the backfill dialog, and its description."""
    for job in repository.get_all_jobs():
        for node in job.graph.nodes:
            shape = node.definition.config_schema.config_type
            for name, field in getattr(shape, "fields", {}).items():
                yield f"config {job.name} {node.name}.{name}", field.description


@pytest.fixture
def repository(settings: dict[str, str]) -> dg.RepositoryDefinition:
    return build().get_repository_def()


def test_everything_has_a_description_that_says_where_to_read_on(
    repository: dg.RepositoryDefinition,
) -> None:
    found = dict(described(repository))
    assert len(found) > 60
    silent = [name for name, text in found.items() if not (text or "").strip()]
    assert silent == []
    without_page = [name for name, text in found.items() if "docs/" not in (text or "")]
    assert without_page == []


def test_the_pages_that_descriptions_name_exist(repository: dg.RepositoryDefinition) -> None:
    named = {
        word.strip(".,;:)(`").partition("#")[0]
        for _, text in described(repository)
        for word in (text or "").split()
        if "docs/" in word
    }
    assert named
    assert [page for page in named if not (Path(ROOT) / page).exists()] == []


def test_every_config_field_has_a_description(repository: dg.RepositoryDefinition) -> None:
    found = dict(config_fields(repository))
    assert any(name.endswith("logs.batch_rows") for name in found)
    assert [name for name, text in found.items() if not text] == []


def test_owners_of_a_defs_yaml_are_in_the_catalog_and_in_no_manifest(
    settings: dict[str, str],
) -> None:
    owned = dataset(owners=["team:data", "data@example.org"])
    [spec] = export_asset(owned, daily_partitions()).specs
    assert list(spec.owners) == ["team:data", "data@example.org"]
    assert "owners" not in owned.config.model_dump()
    with pytest.raises(ValidationError, match="owners"):
        dataset(owners=["bob"])


def test_assets_read_at_a_glance(repository: dg.RepositoryDefinition) -> None:
    for node in repository.asset_graph.asset_nodes:
        assert node.group_name in {"exports", "presets", "report"}, node.key
        assert node.kinds, node.key
        assert node.tags, node.key
