"""DuckDB reads a SQLite file itself and writes JSON Lines, with `attributes` as an object.

python duckdb_sqlite_json.py URL SELECT FOLDER
"""

import sys
from pathlib import Path

import duckdb
import duckdb_extension_sqlite_scanner

url, select, folder = sys.argv[1:]
package = Path(duckdb_extension_sqlite_scanner.__file__).parent
[extension] = package.rglob("*.duckdb_extension")
duckdb.execute(f"LOAD '{extension}'")
duckdb.execute(f"ATTACH '{url.removeprefix('sqlite:///')}' AS source (TYPE sqlite, READ_ONLY)")
duckdb.execute("USE source")
duckdb.execute(
    f"COPY (SELECT * REPLACE (attributes::JSON AS attributes) FROM ({select})) "
    f"TO '{folder}/logs.jsonl' (FORMAT json)"
)
