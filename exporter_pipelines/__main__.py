"""The process of the command `exporter`, and of `python -m exporter_pipelines`."""

from __future__ import annotations

import os
import signal
import sys

from exporter_pipelines.hangups import end_like_terminate
from exporter_pipelines.process_memory import limit_malloc_arenas

_INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended, as shells have it."""


def main() -> None:
    """Prepare this process, then run the command."""
    _open_closed_streams()
    limit_malloc_arenas()
    # Like Ctrl-C: the command removes what is unfinished, and says that it was aborted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    end_like_terminate()
    try:
        from exporter_pipelines.cli import main as command

        command(prog_name="exporter")
    except KeyboardInterrupt:  # while a command was imported
        sys.exit(_INTERRUPTED)
    except OSError:
        if (problem := _output_problem()) is None:
            raise
        sys.exit(f"Error: {problem}")


def _open_closed_streams() -> None:
    """Open standard streams that the caller closed, as `2>&-` does, on the null device.

    Otherwise the first file that a command opens gets the number of the stream, and whatever a
    library writes to the stream is written into that file.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def _output_problem() -> str | None:
    """Why standard output takes no more text, such as a file on a full disk; None if it does.

    A further line fails in the same way. The rest is discarded: Python would try to write it once
    more when it ends, and show a traceback.
    """
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError as error:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        reason = (error.strerror or type(error).__name__).lower()
        return (
            f"the output of this command cannot be written: {reason}. The lines from here on are "
            "missing. Send the output to another place, and run the command again."
        )
    return None


if __name__ == "__main__":
    main()
