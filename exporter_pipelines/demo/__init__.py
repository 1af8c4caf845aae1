"""An embedded PostgreSQL with a seeded sample backend, and the tour that `make demo` prints.

Belongs here: everything that exists so that a newcomer sees the real path work within minutes.
Does not belong here: anything that an export from a real backend needs.
"""
