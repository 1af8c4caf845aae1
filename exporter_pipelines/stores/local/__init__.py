"""Exports in a folder: on a local disk, or on a network file system with POSIX semantics."""
