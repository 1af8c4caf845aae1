"""Exports operational data from a database as validated files, one folder per day.

The flow:
    source -> Arrow batches -> transforms -> Pandera -> valid rows -> (privacy) -> format -> staging
                                              |
                                              +-> rejected rows, as read -> quarantine
    tally -> judge -> publish the day with its manifest, or hold it

The asset stages, the check judges, the IO manager publishes.

The packages (`test_ladder` lists what each may import, and enforces it):
    contracts, errors, settings, extras, docs_links
    dotenv_file, alert_settings                  the file .env; settings of alerts
    sources | transforms | formats | stores      never import each other
    privacy                                      pseudonyms, and the search for identifiers
    engine                                       stages, judges, publishes and loads days
    verification                                 checks published days
    training                                     training sets from published days
    reporting                                    numbers, charts and page of the export report
    defs_files                                   the defs.yaml files, read and checked
    notifications                                alert messages and where they are sent
    demo                                         the sample backend
    databases                                    opens the database of a source URL or of the demo
    output_folder                                which output folder the project has
    orchestration                                Dagster: exports, upkeep, report, alerts, training
    components                                   Dagster: what a defs.yaml may ask for
    definitions                                  what Dagster loads
    slice_reader                                 a process that reads slices of a day
    api                                          exports from Python, without Dagster
    service                                      REST API, exports page and Dagster UI, guarded
    client                                       requests to the service, from other machines
    policy_proposals                             privacy policies from the columns of a table
    doctor                                       checks of the set-up
    new_datasets                                 definitions for tables, written by `exporter init`
    cli                                          the command `exporter`
    service_settings, project_lock               settings of the service, and that it runs once
    supervised_processes, supervisor             `make dev`: service, daemon, code server
    process_memory, hangups                      memory and signals of a whole process

Only orchestration, components, definitions and service import Dagster, and only
`orchestration.dagster_internals` its private modules.

`defs/` is what a user edits: one folder per dataset.
"""

__version__ = "0.2.0"
