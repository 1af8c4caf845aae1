"""Verifies published days: `run` selects them, `days` checks each one, `report` has the findings.

Belongs here: comparing published files with their manifests and with the source.
Does not belong here: reading rows for users (`engine.load`), or printing (`cli`).
"""
