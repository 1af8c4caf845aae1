"""DuckDB: the query runs in PostgreSQL, DuckDB writes JSON Lines, with `attributes` as an object.

python duckdb_json.py URL SELECT FOLDER
"""

import sys
from pathlib import Path

import duckdb
import duckdb_extension_postgres_scanner

url, select, folder = sys.argv[1:]
package = Path(duckdb_extension_postgres_scanner.__file__).parent
[extension] = package.rglob("*.duckdb_extension")
duckdb.execute(f"LOAD '{extension}'")
duckdb.execute(f"ATTACH '{url}' AS source (TYPE postgres, READ_ONLY)")
query = select.replace("'", "''")
duckdb.execute(
    f"COPY (SELECT * REPLACE (attributes::JSON AS attributes) "
    f"FROM postgres_query('source', '{query}')) TO '{folder}/logs.jsonl' (FORMAT json)"
)
