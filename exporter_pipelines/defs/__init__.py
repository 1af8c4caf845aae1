"""The folders that a user edits, one per dataset.

`defs.yaml` describes where the rows are and how they are exported; `schema.py` describes a row.
With EXPORTER_DEFS_DIR, the definitions are in another folder, under the same dotted names. Schemas
that it lacks are still found here: a dataset there may use `exporter_pipelines.defs.logs.schema`.
"""

from exporter_pipelines import settings

if (_folder := settings.defs_folder()) is not None:
    __path__ = [str(_folder), *__path__]
    __file__ = str(_folder / "__init__.py")  # Dagster looks for definitions beside it
