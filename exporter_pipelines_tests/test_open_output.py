"""The tests themselves: no test closes the output of its process, which all later ones need."""

from __future__ import annotations

import logging
import logging.config
import sys

import click
import pytest
from click.testing import CliRunner

REFUSED = "every later test would fail"


class ClosingHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Closes its stream unless that is sys.stderr now, as the handler of absl does."""

    def close(self) -> None:
        """Called by `logging.config`."""
        if self.stream is not sys.stderr:
            self.stream.close()
        super().close()


def test_the_output_is_not_closed() -> None:
    for stream in (sys.stdout, sys.stderr):
        with pytest.raises(RuntimeError, match=REFUSED):
            stream.close()
        assert not stream.closed


def test_a_handler_does_not_close_it_when_a_command_configures_logging() -> None:
    kept = ClosingHandler()

    @click.command()
    def configure() -> None:
        logging.config.dictConfig({"version": 1})  # as Dagster does when a run begins

    done = CliRunner().invoke(configure)
    assert REFUSED in str(done.exception)
    assert not kept.stream.closed
