"""The process of the command `exporter`, and of `python -m exporter_pipelines`."""

from __future__ import annotations

import signal

from exporter_pipelines.hangups import end_like_terminate
from exporter_pipelines.process_memory import freeze_gc, limit_malloc_arenas


def main() -> None:
    """Prepare this process, then run the command."""
    limit_malloc_arenas()
    # Like Ctrl-C: the command removes what is unfinished, and says that it was aborted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    end_like_terminate()
    from exporter_pipelines.cli import main as command  # imports Arrow

    freeze_gc()
    command(prog_name="exporter")


if __name__ == "__main__":
    main()
