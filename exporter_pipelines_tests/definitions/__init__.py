"""The datasets and presets of the tests, whatever a checkout has below its `defs/`.

They are installed as `exporter_pipelines.defs` in the test process (`support.definitions`) and in
copies of the project (`support.projects`), and named so in their `schema:`.
"""
