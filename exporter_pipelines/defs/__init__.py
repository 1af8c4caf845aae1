"""The folders that a user edits, one per dataset.

`defs.yaml` describes where the rows are and how they are exported; `schema.py` describes a row.
"""
