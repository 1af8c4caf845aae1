"""The export report: numbers, plots and the page. Nothing here reads a disk or knows Dagster.

Matplotlib and Jinja are imported when a page is rendered, so that an export does not pay for them.
"""
