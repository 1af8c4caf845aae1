"""A session in a real browser; not part of `make test`, see docs/testing.md."""
