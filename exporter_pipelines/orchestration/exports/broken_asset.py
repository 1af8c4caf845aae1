"""The asset of a dataset with an invalid definition: it exports nothing and fails with the reason.

https://docs.dagster.io/guides/build/assets

No `from __future__ import annotations` here: Dagster reads the annotations of the asset function
as classes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg

from exporter_pipelines import __version__
from exporter_pipelines.docs_links import linked
from exporter_pipelines.orchestration.exports.backfill_policy import backfill_policy
from exporter_pipelines.orchestration.exports.exit_messages import repeat_at_exit

CHECK = "definition_is_valid"


def broken_asset(
    name: str,
    problems: Sequence[str],
    files: Sequence[Path],
    partitions_def: dg.PartitionsDefinition[str],
    group: str,
) -> dg.AssetsDefinition:
    """An asset that fails with the mistakes in its definition.

    It has the partitions of the others, so that a backfill over all of them can be started.

    Args:
        name: Of the dataset or preset.
        problems: One sentence for each mistake, with file and line.
        files: The files with the mistakes.
        partitions_def: That of the exports.
        group: In which the dataset or preset is shown.
    """
    problem = " ".join(problems)

    @dg.asset(
        name=name,
        description=linked(
            "Broken: the definition has a mistake, so nothing is exported.\n\n"
            f"{problem}\n\nCorrect the file, then press Reload definitions in the Catalog. "
            "See docs/failures.md#a-dataset-is-broken"
        ),
        group_name=group,
        kinds={"broken"},
        tags={"exporter/kind": "broken"},
        metadata={
            "problem": dg.MetadataValue.text(problem),
            "defs_yaml": dg.MetadataValue.path(", ".join(map(str, files))),
        },
        partitions_def=partitions_def,
        backfill_policy=backfill_policy(),
        output_required=False,
        code_version=__version__,
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=name,
                description=linked(
                    "Fails while the definition of the dataset has a mistake. "
                    "See docs/failures.md#a-dataset-is-broken"
                ),
            )
        ],
    )
    def broken() -> Iterator[dg.AssetCheckResult]:
        yield dg.AssetCheckResult(
            check_name=CHECK, asset_key=name, passed=False, description=problem
        )
        message = f"{name}: {problem}"
        repeat_at_exit(message)
        raise dg.Failure(message, allow_retries=False)

    return broken
