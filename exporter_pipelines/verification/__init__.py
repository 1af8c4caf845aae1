"""Verifying published days: `run` chooses them, `days` checks each one, `report` holds findings.

Belongs here: comparing published files with their manifests and with the source.
Does not belong here: reading rows for users (`engine.load`), or printing (`cli`).
"""
