"""The documentation is true: what follows from code is compared with it."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path

import pytest

import exporter_pipelines
from exporter_pipelines import formats, settings, transforms
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.source_rules import SOURCE_RULES
from exporter_pipelines.engine.judge import CHECKS, PRIVACY_CHECKS
from exporter_pipelines.errors import MissingSettingError
from exporter_pipelines.formats.compression import COMPRESSIONS
from exporter_pipelines.notifications.kinds import KINDS
from exporter_pipelines.orchestration.alerts.conditions import WATCHED
from exporter_pipelines.orchestration.exports.assets import ExportConfig
from exporter_pipelines.service import export_models
from exporter_pipelines.service.models import ExportMetrics
from exporter_pipelines.sources import SOURCES
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.projects import ROOT

DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md"))]


def _generator():  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_tables_follow_the_code(page: Path) -> None:
    assert _generator().rendered(page.read_text()) == page.read_text(), "run `make docs`"


def test_manifest_schema_follows_the_code() -> None:
    published = (DOCS / "manifest.schema.json").read_text()
    assert published == _generator().manifest_schema(), "run `make docs`"


def test_a_real_manifest_fits_the_published_schema(backend, store) -> None:  # type: ignore[no-untyped-def]
    import jsonschema

    backend.add_logs("2026-11-01", 20)
    backend.run("UPDATE logs SET level = 'odd' WHERE id = 1")
    manifest: Manifest = export(backend.url, dataset(), "2026-11-01", store)
    schema = json.loads((DOCS / "manifest.schema.json").read_text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.validate(json.loads(manifest.to_json()), schema)
    page = (DOCS / "manifest.md").read_text()
    for name in manifest.data_quality_metrics:
        plain, _, of = name.partition(".")
        assert f"`{plain}.<" in page if of else f"`{plain}`" in page, f"explain the metric {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in _slugs(linked.read_text()), f"{page.name} links to {target}"


def test_output_folders_of_the_pages_are_not_committed() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    pages = [ROOT / "README.md", ROOT / ".env.example", DOCS / "first-backend.md"]
    text = "\n".join(page.read_text() for page in pages)
    folders = set(re.findall(r"^ *EXPORTER_OUTPUT_URL=\./(\S+)$", text, re.MULTILINE))
    assert folders == {"exports", "exports-backend"}
    for folder in folders:
        ignored = subprocess.run(["git", "check-ignore", "-q", f"{folder}/x"], cwd=ROOT)
        assert ignored.returncode == 0, f"add {folder} to .gitignore: exports have personal data"


def test_references_to_pages_in_the_code_lead_somewhere() -> None:
    """In messages, descriptions and comments, whatever the kind of file."""
    folders = (ROOT / "exporter_pipelines", ROOT / "deploy")
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    found = {
        reference
        for file in [*files, ROOT / ".env.example", ROOT / "dagster.yaml", ROOT / "Makefile"]
        if file.suffix != ".pyc"
        for reference in re.findall(r"(?<![\w/])docs/([\w-]+)\.md(?:#([\w-]+))?", file.read_text())
    }
    assert len(found) > 20
    for page, anchor in found:
        headings = _slugs((DOCS / f"{page}.md").read_text())
        assert not anchor or anchor in headings, f"docs/{page}.md#{anchor}"


def test_every_setting_is_documented_and_in_the_example() -> None:
    files = ("settings.py", "alert_settings.py", "service_settings.py")
    sources = "".join(map(_source, files))
    used = set(re.findall(r'"(EXPORTER_[A-Z_]+)"', sources))
    used |= {
        "EXPORTER_SOURCE_URL",
        "EXPORTER_PRIVACY_KEY",
    }  # usual names, which a defs.yaml may change
    example, page = (ROOT / ".env.example").read_text(), (DOCS / "settings.md").read_text()
    for name in used:
        found = re.search(rf"^(# )?{name}=", example, re.MULTILINE)
        assert found, f"{name} is missing in .env.example"
        assert f"`{name}`" in page, f"{name} is missing in docs/settings.md"
    documented = set(re.findall(r"^\| `(EXPORTER_\w+)`", page, re.MULTILINE))
    assert documented == used, "docs/settings.md documents a setting that nothing reads"


def test_run_config_is_documented() -> None:
    for name, field in ExportConfig.model_fields.items():
        assert f"| `{name}` | {field.default} |" in (DOCS / "settings.md").read_text()


def test_names_that_a_user_may_write_are_documented() -> None:
    page = (DOCS / "datasets.md").read_text()
    for name in (*formats.FORMATS, *COMPRESSIONS, *transforms._TRANSFORMS):
        assert f"`{name}`" in page or f'`"{name}"`' in page, name


def test_checks_and_rules_are_documented() -> None:
    for check in (*CHECKS, *PRIVACY_CHECKS):
        assert f"| `{check}` |" in (DOCS / "quality.md").read_text(), f"no row for {check}"
    for name in ("logs", "anomalies", "ips"):
        for rule, _ in dataset(name).schema.rules:
            assert f"`{rule}`" in (DOCS / "schema.md").read_text(), rule
    for rule in SOURCE_RULES:
        assert f"| `{rule}` |" in (DOCS / "types.md").read_text(), rule


def test_kinds_of_alerts_are_documented() -> None:
    assert WATCHED.keys() <= KINDS.keys()
    for kind in KINDS:
        assert f"| `{kind}` |" in (DOCS / "alerts.md").read_text(), f"no row for {kind}"


def test_every_kind_of_database_is_named_where_a_user_looks() -> None:
    with pytest.raises(MissingSettingError) as unset:
        settings.source_url("EXPORTER_UNSET_URL")
    pages = {str(page): page.read_text() for page in (ROOT / ".env.example", DOCS / "settings.md")}
    for source in SOURCES:
        for place, text in {**pages, "settings.py": str(unset.value)}.items():
            named = any(f"{scheme}://" in text for scheme in source.schemes)
            assert named, f"{place} does not name {source.example}"
        assert source.kind in (ROOT / "README.md").read_text().lower()


def test_counted_changes_are_documented() -> None:
    names = set(re.findall(r'yield "(\w+)"', _source("formats/jsonl.py")))
    names |= set(re.findall(r'changed\["(\w+)"\]', _source("formats/csv_table.py")))
    assert len(names) >= 3
    names |= {"numeric_rounded", "timestamp_truncated"}  # by the sources
    pages = "".join((DOCS / page).read_text() for page in ("types.md", "formats.md"))
    for name in names:
        assert f"`{name}`" in pages, name


def test_names_of_the_first_specification_are_where_the_table_says() -> None:
    page = (DOCS / "first-specification.md").read_text().partition("## Names")[2]
    rows = dict(re.findall(r"^\| `(\w+(?:\.\w+)?)` \| (.*) \|$", page, re.MULTILINE))
    assert list(rows) == [
        "DataExporter.export_logs", "DataExporter.export_anomalies", "DataExporter.export_ips",
        "DataValidator", "DataTransformer", "ExportMetadata", "DataValidationResult",
    ]  # fmt: skip
    for text in rows.values():
        paths = re.findall(r"`(exporter_pipelines\.[\w.]+)`", text)
        assert paths, text
        for module, _, name in (path.rpartition(".") for path in paths):
            assert callable(getattr(importlib.import_module(module), name)), (module, name)


def test_the_fields_of_the_named_paths_are_those_of_the_table() -> None:
    page = (DOCS / "first-specification.md").read_text().partition("## `/export`")[2]
    rows = re.findall(r"^\| `(?:POST|GET) /export.*?\| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    started, status, history, metrics = (
        set(re.findall(r"`(\w+)`", f"{specified} {more}")) for specified, more in rows
    )
    assert started == set(export_models.ExportMetadata.model_fields)
    assert status == set(export_models.ExportStatus.model_fields)
    assert history | started == set(export_models.HistoryItem.model_fields)
    assert metrics == set(ExportMetrics.model_fields)


def test_every_metric_for_prometheus_is_documented() -> None:
    named = set(re.findall(r'"(exporter_[a-z_]+)"', _source("service/prometheus.py")))
    page = set(
        re.findall(r"^\| `(exporter_\w+)` \|", (DOCS / "metrics.md").read_text(), re.MULTILINE)
    )
    assert {name.removesuffix("_total") for name in page} == named


def test_the_real_help_is_shown() -> None:
    shown = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert shown.rstrip() in page, "CONTRIBUTING.md shows another `make help`"


def test_the_readme_fits_on_three_screens() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 125
    assert max(map(len, lines)) <= 150


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_a_page_has_at_most_200_lines(page: Path) -> None:
    # Each error links to its entry in failures.md, so that page grows with the errors.
    assert len(page.read_text().splitlines()) <= 200 or page.name == "failures.md"


def test_one_version_is_stated_everywhere() -> None:
    version = exporter_pipelines.__version__
    assert f'version="{version}"' in (ROOT / "setup.py").read_text()
    assert f"\n## {version} (" in (ROOT / "CHANGELOG.md").read_text()
    for file in ("Dockerfile", "docker-compose.yaml", "kubernetes/values.yaml"):
        named = re.findall(r"exporter_pipelines:(\d[\w.]*)", (ROOT / "deploy" / file).read_text())
        assert set(named) == {version}, file


def test_verbs_in_the_docs_exist() -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        used = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE))
        assert used <= verbs, f"{page.name}: {used - verbs}"


def test_tests_that_pages_name_exist() -> None:
    files = {file.stem for file in Path(__file__).parent.glob("test_*.py")}
    for page in PAGES:
        named = set(re.findall(r"`(test_\w+)`", page.read_text()))
        assert named <= files, f"{page.name}: {named - files}"


def test_each_module_of_tests_begins_with_what_it_covers() -> None:
    for file in Path(__file__).parent.glob("test_*.py"):
        assert re.match(r'""".{30,}[.:]', file.read_text()), f"{file.name} needs a first sentence"


def _slugs(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def _source(path: str) -> str:
    return (ROOT / "exporter_pipelines" / path).read_text()
