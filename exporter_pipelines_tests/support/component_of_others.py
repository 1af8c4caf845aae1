"""A component of another package."""

from __future__ import annotations

import dagster as dg


class OtherComponent(dg.Component, dg.Model, dg.Resolvable):
    """An asset with a name; fails with a size of 0."""

    size: int

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The asset."""
        assert 1 / self.size
        return dg.Definitions(assets=[dg.AssetSpec(f"others_{self.size}")])
