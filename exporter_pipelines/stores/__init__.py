"""Where exports are stored, and the atomic switch that publishes a day.

Belongs here: one package per kind of storage, and `layout`, the names and paths in it.
Does not belong here: the content of files, or the decision to publish a day.
"""

from __future__ import annotations

from exporter_pipelines.stores.local.store import LocalStore

__all__ = ["LocalStore"]
