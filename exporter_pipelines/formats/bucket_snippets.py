"""The code of `snippets` for exports in a bucket.

Arrow and polars have clients of their own for buckets, which take credentials and endpoint from the
environment. The other readers get Arrow's table, since theirs need further packages.
"""

from __future__ import annotations

from exporter_pipelines.formats.contract import Export
from exporter_pipelines.formats.snippets import ARROW_SCHEMA, literal, through_arrow

_OPEN = """\
$open
schema = pa.ipc.read_schema(bucket.open_input_file(root + "/$folder/schema.arrow"))
listed = bucket.get_file_info(pa.fs.FileSelector(root + "/$folder/data", recursive=True))
files = sorted(each.path for each in listed if each.path.endswith($ending))
files = [path for path in files if "/_" not in path]"""

_OPEN_URL = "bucket, root = pa.fs.FileSystem.from_uri({url})"
_OPEN_AZURE = """\
import os

bucket = pa.fs.AzureFileSystem(
    os.environ["AZURE_STORAGE_ACCOUNT_NAME"], os.environ.get("AZURE_STORAGE_ACCOUNT_KEY")
)
root = {path}"""
"""Arrow has no URL of a container without its account."""

_IN_A_BUCKET = (
    ("import glob\n", ""),
    ("import pyarrow as pa\n", "import pyarrow as pa\nimport pyarrow.fs\n"),
    (ARROW_SCHEMA, _OPEN),
    ("sorted(glob.glob($files))", "files"),
    ("pa.input_stream(", "bucket.open_input_stream("),
    ("read_json(file,", "read_json(bucket.open_input_stream(file),"),
    ("read_table(file,", "read_table(file, filesystem=bucket,"),
)
"""Code for files on disk -> the same for a bucket."""


def bucket_templates(arrow: str, **others: str) -> dict[str, str]:
    """Reader -> template for a bucket.

    Args:
        arrow: Template that loads files on disk into an Arrow table.
        others: Templates of readers with a client of their own.
    """
    arrow = _in_a_bucket(arrow)
    return {
        **through_arrow(arrow, "pandas", "polars", "duckdb"),
        **others,
        "pyarrow": arrow,
        **through_arrow(arrow, "datasets"),
    }


def place_values(export: Export) -> dict[str, str]:
    """The variables of all templates that depend on the place of the files."""
    before = f"{export.bucket}/" if export.bucket else ""
    scheme, _, path = export.bucket.partition("://")
    opening = _OPEN_AZURE if scheme == "az" else _OPEN_URL
    return {
        "result": export.variable,
        "folder": export.name,
        "files": literal(before + export.files),
        "open": opening.format(url=literal(export.bucket), path=literal(path)),
        "ending": literal(export.files.rpartition("*")[2]),
    }


def rows_of(export: Export, code: str) -> str:
    """The code in `$rows`, which reads the rows of `file`."""
    return _in_a_bucket(code) if export.bucket else code


def _in_a_bucket(code: str) -> str:
    for local, remote in _IN_A_BUCKET:
        code = code.replace(local, remote)
    return code
