"""The process of the command `exporter`, and of `python -m exporter_pipelines`."""

from __future__ import annotations

from exporter_pipelines.process_memory import freeze_gc, limit_malloc_arenas


def main() -> None:
    """Prepare this process, then run the command."""
    limit_malloc_arenas()
    from exporter_pipelines.cli import main as command  # imports Arrow

    freeze_gc()
    command(prog_name="exporter")


if __name__ == "__main__":
    main()
