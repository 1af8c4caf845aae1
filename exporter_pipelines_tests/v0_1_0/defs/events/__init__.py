"""Written for version 0.1.0."""
