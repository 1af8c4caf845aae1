"""The files that describe a set: `README.md`, `croissant.json` and a sample.

Belongs here: what a trainer reads first. The counts come from the manifest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import yaml

from exporter_pipelines.contracts.training_manifest import TrainingManifest
from exporter_pipelines.contracts.training_set import SPLITS, TrainingSetConfig
from exporter_pipelines.engine.croissant import Field, File, croissant
from exporter_pipelines.training import sql

_SAMPLE_ROWS = 20
_PARQUET = "application/x-parquet"
_MEANINGS = {
    "event_id": "Template of the message, see templates.parquet.",
    "events": "Templates of the messages in the window, in order.",
    "label": "1: a label source matches. 0: none does.",
    "start": "Beginning of the window.",
    "end": "End of the window, exclusive.",
    "rows": "Rows in the window.",
}
_REASONS = {
    "in_the_gap": "in the gap after a boundary between two splits",
    "group_of_another_split": "of a group that belongs to another split",
    "without_a_group": "without a group",
    "label_known_too_late": "whose label became known in the time of the next split",
    "labels_not_complete": "before a day that is not used, whose labels are not known",
    "unlabelled": "without a label",
    "key_of_another_row": "with the key of an earlier row",
    "repeated": "repeated",
    "same_template": "with the template of an earlier row of the group",
    "thinned": "thinned by `sample`",
    "in_no_whole_window": "in no whole window",
}


def write_cards(
    connection: duckdb.DuckDBPyConnection,
    config: TrainingSetConfig,
    manifest: TrainingManifest,
    folder: Path,
    location: str,
) -> None:
    """Write `README.md`, `croissant.json` and `sample.jsonl` into the folder of a set.

    Args:
        connection: Has the written examples as views.
        config: Of the set.
        manifest: Of the version.
        folder: Of the files that are written.
        location: Where all versions of the set will be: a folder or a URL.
    """
    (folder / "README.md").write_text(_card(config, manifest, location), encoding="utf-8")
    files = [
        File(file.path, file.sha256, split)
        for split, summary in manifest.splits.items()
        for file in summary.files
    ]
    document = croissant(
        manifest.name,
        manifest.description,
        f"1.0.0+{manifest.data_version[:12]}",
        [_field(column.name, column.type) for column in manifest.columns],
        [file.path for file in files],
        _PARQUET,
        files,
    )
    (folder / "croissant.json").write_bytes(document)
    connection.execute(
        f"COPY (SELECT * FROM train LIMIT {_SAMPLE_ROWS}) TO "
        f"{sql.text(str(folder / 'sample.jsonl'))} (FORMAT json)"
    )


def _field(name: str, arrow: str) -> Field:
    repeated = arrow.startswith("list")
    return Field(name, "string" if repeated else arrow, _MEANINGS.get(name, ""), repeated)


def _card(config: TrainingSetConfig, manifest: TrainingManifest, location: str) -> str:
    header = yaml.safe_dump(_hugging_face(manifest), sort_keys=False)
    parts = [
        f"---\n{header}---\n\n# {manifest.name}\n",
        f"{manifest.description}\n" if manifest.description else "",
        *_splits(manifest),
        *_columns(config, manifest),
        *_sources(config, manifest),
        *_left_out(manifest),
        *_checks(manifest),
        *_loading(manifest, location),
    ]
    return "\n".join(parts)


def _hugging_face(manifest: TrainingManifest) -> dict[str, Any]:
    features = [
        {"name": column.name, "list": "string"}
        if column.type.startswith("list")
        else {"name": column.name, "dtype": _hf_type(column.type)}
        for column in manifest.columns
    ]
    data_files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in SPLITS]
    splits = [
        {
            "name": split,
            "num_bytes": sum(file.size_bytes for file in manifest.splits[split].files),
            "num_examples": manifest.splits[split].rows,
        }
        for split in SPLITS
    ]
    return {
        "configs": [{"config_name": "default", "data_files": data_files}],
        "dataset_info": [{"config_name": "default", "features": features, "splits": splits}],
    }


def _hf_type(arrow: str) -> str:
    return {"double": "float64"}.get(arrow, arrow)


def _splits(manifest: TrainingManifest) -> Iterator[str]:
    yield "| split | examples | positive | first | last | files |"
    yield "|---|---|---|---|---|---|"
    for split, summary in manifest.splits.items():
        share = f" ({100 * summary.positives / summary.rows:.2f} %)" if summary.rows else ""
        yield (
            f"| {split} | {summary.rows:,} | {summary.positives:,}{share} | {summary.first or ''} "
            f"| {summary.last or ''} | {len(summary.files)} |"
        )
    yield f"\nVersion `{manifest.data_version}`. The same version has the same bytes.\n"


def _columns(config: TrainingSetConfig, manifest: TrainingManifest) -> Iterator[str]:
    yield "## Columns\n"
    yield "| column | type | meaning |\n|---|---|---|"
    of_rows = f"As in `{config.dataset}`; its card explains it."
    for column in manifest.columns:
        name = column.name.replace("|", "\\|")
        yield f"| `{name}` | {column.type} | {_MEANINGS.get(column.name, of_rows)} |"


def _sources(config: TrainingSetConfig, manifest: TrainingManifest) -> Iterator[str]:
    yield "\n## Sources\n"
    for dataset, days in manifest.inputs.items():
        yield f"- `{dataset}`: {len(days)} published days, {min(days)} to {max(days)}"
    yield f"\nRows read: {manifest.rows_read:,}. Rows labelled by each source:\n"
    for source, rows in manifest.labels.items():
        yield f"- {source}: {rows:,}"
    unlabelled = {
        "negative": "count as 0; a label source that misses something makes them wrong",
        "unknown": "have a null label",
        "drop": "are left out",
    }[config.unlabelled]
    yield f"\nRows without a label {unlabelled}."
    privacy = "; ".join(manifest.privacy)
    yield (
        f"Addresses and names are pseudonyms ({privacy}).\n"
        if privacy
        else "The inputs have no privacy policy: the values are those of the source.\n"
    )


def _left_out(manifest: TrainingManifest) -> Iterator[str]:
    yield "## Left out\n"
    for day, reason in manifest.left_out_days.items():
        yield f"- {day}: {reason}"
    for reason, rows in manifest.rows_left_out.items():
        yield f"- {rows:,} rows {_REASONS[reason]}"
    if not manifest.left_out_days and not manifest.rows_left_out:
        yield "Nothing."


def _checks(manifest: TrainingManifest) -> Iterator[str]:
    yield "\n## Checks\n"
    yield "| check | result | |\n|---|---|---|"
    for result in manifest.checks:
        yield f"| {result.check} | {'passed' if result.passed else 'warns'} | {result.sentence} |"


def _loading(manifest: TrainingManifest, location: str) -> Iterator[str]:
    folder = f"v-{manifest.data_version[:12]}"
    yield "\n## Loading\n"
    if "://" in location:
        yield (
            "From the bucket. Credentials come from the environment, such as AWS_ACCESS_KEY_ID. "
            "For a server other than the cloud's own, set AWS_ENDPOINT_URL.\n"
        )
        pattern = json.dumps(f"{location}/{folder}/data/train-*.parquet", ensure_ascii=False)
        yield f"```python\nimport polars as pl\ntrain = pl.read_parquet({pattern})\n```\n"
        yield f"From a copy: run the code in the folder that contains `{folder}`.\n"
    else:
        yield f"Run the code in the folder that contains `{folder}`.\n"
    # Without ./ and without such a folder, `load_dataset` would ask the Hugging Face Hub.
    yield (
        "```python\n"
        "from datasets import load_dataset\n"
        f'sets = load_dataset("./{folder}")  # train, validation, test\n'
        "```\n"
    )
    yield (
        "```python\n"
        "from glob import glob\n"
        "import pandas as pd\n"
        f'files = sorted(glob("{folder}/data/train-*.parquet"))\n'
        "train = pd.concat(map(pd.read_parquet, files))\n"
        "```\n"
    )
