"""Why a source rejects a value."""

from __future__ import annotations

SOURCE_RULES = (
    "invalid_json",
    "not_a_boolean",
    "not_a_number",
    "not_an_integer",
    "number_out_of_range",
    "timestamp_out_of_range",
    "undecodable_text",
    "unreadable_time",
    "value_too_large",
)
"""Every rule under which a source rejects a value that it cannot deliver; a test compares."""
