"""What the name of a dataset or training set may be.

In a module of its own, since the client of the service imports it without pandas and Pandera.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

# Becomes an asset key and a folder name, so it must not lead out of the output folder.
DATASET_NAME = r"^[a-z][a-z0-9_]{0,62}$"
DatasetName = Annotated[str, Field(pattern=DATASET_NAME)]
