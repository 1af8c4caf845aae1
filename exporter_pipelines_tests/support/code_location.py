"""The code location of a service in tests: the project's, with the tests' definitions."""

from exporter_pipelines.definitions import build
from exporter_pipelines_tests.support.definitions import install_definitions

install_definitions()

defs = build()
