"""The process of the command `exporter`, and of `python -m exporter_pipelines`."""

from __future__ import annotations

import signal
import sys

from exporter_pipelines.hangups import end_like_terminate
from exporter_pipelines.process_memory import limit_malloc_arenas

_INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended, as shells have it."""


def main() -> None:
    """Prepare this process, then run the command."""
    limit_malloc_arenas()
    # Like Ctrl-C: the command removes what is unfinished, and says that it was aborted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    end_like_terminate()
    try:
        from exporter_pipelines.cli import main as command

        command(prog_name="exporter")
    except KeyboardInterrupt:  # while a command was imported
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
