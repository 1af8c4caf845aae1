"""SQLite as a source: `snapshot` reads one day, `inspection` answers the doctor's questions."""
