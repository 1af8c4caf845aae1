"""Exports on a local disk, or on a network file system that behaves like one."""
