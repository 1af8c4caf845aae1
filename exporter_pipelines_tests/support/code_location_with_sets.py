"""The code location of a service in tests, with a training set."""

import dagster as dg

from exporter_pipelines.definitions import build
from exporter_pipelines.orchestration.training.asset import training_set_asset
from exporter_pipelines_tests.support.definitions import install_definitions
from exporter_pipelines_tests.support.training import WINDOWS, config

install_definitions()

defs = dg.Definitions.merge(build(), dg.Definitions(assets=[training_set_asset(config(WINDOWS))]))
