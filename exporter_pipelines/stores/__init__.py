"""Where exports lie: named bytes in a place, and the switch that makes a day visible.

Belongs here: one module per kind of place, with its own way to publish atomically.
Does not belong here: what is in the files, or when a day may be published.
"""

from __future__ import annotations

from exporter_pipelines.stores.local.store import LocalStore

__all__ = ["LocalStore"]
