"""pandas as in most tutorials: read everything, write everything.

python pandas_json.py URL SELECT FOLDER
"""

import sys

import pandas as pd
import sqlalchemy

url, select, folder = sys.argv[1:]
engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
rows = pd.read_sql(sqlalchemy.text(select), engine)
rows.to_json(
    f"{folder}/logs.jsonl", orient="records", lines=True, date_format="iso", date_unit="us"
)
