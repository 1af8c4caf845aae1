"""Tests through the public path, on real things: PostgreSQL, Dagster, files."""
