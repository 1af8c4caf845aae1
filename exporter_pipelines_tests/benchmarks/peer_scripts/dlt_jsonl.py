"""dlt with its fastest backend, connectorx, into a folder of JSON Lines.

python dlt_jsonl.py URL SELECT FOLDER
"""

import os
import sys
from urllib.parse import parse_qs, quote, urlsplit

url, select, folder = sys.argv[1:]
os.environ.update(
    RUNTIME__DLTHUB_TELEMETRY="false",
    NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION="true",
    LOAD__DELETE_COMPLETED_JOBS="true",
    DLT_DATA_DIR=f"{folder}/state",
)

import dlt  # noqa: E402 - it reads the environment
import sqlalchemy  # noqa: E402
from dlt.sources.sql_database import sql_table  # noqa: E402

parts = urlsplit(url)
[socket] = parse_qs(parts.query)["host"]
table = sql_table(
    credentials=url,
    table="logs",
    backend="connectorx",
    reflection_level="minimal",
    # connectorx takes the folder of a socket as the host only.
    backend_kwargs={
        "conn": f"postgresql://{parts.username}@{quote(socket, safe='')}{parts.path}",
        "return_type": "arrow",
    },
    query_adapter_callback=lambda *_: sqlalchemy.text(select),
)
pipeline = dlt.pipeline(
    "benchmark",
    destination=dlt.destinations.filesystem(f"{folder}/data"),
    dataset_name="logs",
    pipelines_dir=f"{folder}/state",
)
pipeline.run(table, loader_file_format="jsonl").raise_on_failed_jobs()
