"""The export report: numbers, charts and the page. Nothing here reads a disk or uses Dagster.

Matplotlib and Jinja are imported only when a page is rendered, because exports do not need them.
"""
