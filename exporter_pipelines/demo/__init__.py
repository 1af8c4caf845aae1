"""An embedded PostgreSQL with sample data, and the tour that `make demo` prints.

Belongs here: everything that shows a newcomer a real export within minutes.
Does not belong here: anything that an export from a real backend needs.
"""
