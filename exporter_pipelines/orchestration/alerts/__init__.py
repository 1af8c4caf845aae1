"""Dagster sensors that find problems and send alerts.

https://docs.dagster.io/guides/automate/sensors
"""
