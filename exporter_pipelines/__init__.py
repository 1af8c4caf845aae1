"""Operational data of a backend, exported by day as validated training data.

The flow:
    source -> Arrow batches -> transforms -> Pandera -> valid rows -> format -> staging
                                              |
                                              +-> rejected rows, as read -> quarantine
    tally -> judge -> publish the day with its manifest, or hold it

The asset stages, the check judges, the IO manager publishes.

Before anything imports Arrow, `allocators` settles where memory comes from; the doors
(`definitions`, `api`) have it leave their imports out of garbage collections.

The rooms, each of which may import only those above it (a test holds it):
    contracts, errors, settings
    sources | transforms | formats | stores      (siblings never import each other)
    engine
    reporting                                    numbers, plots and page of the export report
    catalog                                      what lies below defs/
    alerts                                       messages, receivers, the outbox
    demo | orchestration, components             (the latter two alone import dagster)
    definitions                                  Dagster's door
    api                                          the same without Dagster
    doctor, verifying                            what the command `exporter` looks at
    cli                                          the command itself

`defs/` is what a user edits: one folder per dataset.
"""

from exporter_pipelines.allocators import share_one_heap

__version__ = "0.1.0"

share_one_heap()
