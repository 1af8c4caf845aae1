"""What a user edits: one folder per dataset, found by itself.

`defs.yaml` says where the rows are and how they are exported; `schema.py` says what a row is.
"""
