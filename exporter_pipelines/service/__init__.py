"""The service `exporter serve`: Dagster's UI, the REST API and the exports page behind one guard.

Belongs here: who may do what, HTTP, and the pages. `exports`, `launching` and `history` know no
HTTP. Does not belong here: how a day is exported.
"""
