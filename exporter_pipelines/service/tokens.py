"""The file of tokens: who may use the service, with the hash of each token.

One line per token: `name:role[+role]:sha256[:expires]`. Tokens are 256 random bits, so an unsalted
fast hash is enough: nobody can try them all.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import hmac
import logging
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.service.principals import ROLES, Principal, Via

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
_PREFIX_LENGTH = 16
_LOG = logging.getLogger("exporter.tokens")


@dataclass(frozen=True)
class Token:
    """A line of the file.

    Attributes:
        name: Of the person or program, which logs and tags show.
        roles: What it may do.
        digest: SHA-256 of the token, in hex.
        expires: UTC; None for never.
    """

    name: str
    roles: frozenset[str]
    digest: str
    expires: dt.datetime | None = None

    @property
    def prefix(self) -> str:
        """The begin of the hash: enough to name it, too little to check a token against."""
        return self.digest[:_PREFIX_LENGTH]

    def is_valid(self, now: dt.datetime | None = None) -> bool:
        """Whether it has not expired."""
        return self.expires is None or (now or dt.datetime.now(dt.UTC)) < self.expires

    def line(self) -> str:
        """As it is stored."""
        parts = [self.name, "+".join(sorted(self.roles)), self.digest]
        if self.expires:
            parts.append(f"{self.expires:%Y-%m-%dT%H%MZ}")
        return ":".join(parts)

    def principal(self, via: Via) -> Principal:
        """Who acts with it."""
        return Principal(self.name, self.roles, via)


class TokenFile:
    """The tokens of a file, read again when it changes.

    Once a file has been seen, a missing or broken one means that no token is valid, and not that
    none is needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._tokens: tuple[Token, ...] = ()

    @property
    def is_in_use(self) -> bool:
        """Whether there is, or was, a file: then a token is needed."""
        self._refresh()
        return self._seen is not None

    def find(self, token: str) -> Token | None:
        """The line of a token that a client sent, if it is valid."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        self._refresh()
        found = None
        for known in self._tokens:  # all, so that the time says nothing about the position
            if hmac.compare_digest(known.digest, digest):
                found = known
        return found if found and found.is_valid() else None

    def with_prefix(self, prefix: str) -> Token | None:
        """The line whose hash begins with `prefix`, if it is still there and valid."""
        self._refresh()
        return next((t for t in self._tokens if t.prefix == prefix and t.is_valid()), None)

    def _refresh(self) -> None:
        try:
            found = os.stat(self.path)
        except OSError:
            self._tokens = ()
            self._seen = self._seen and (0, 0, 0)
            return
        state = (found.st_mtime_ns, found.st_size, found.st_ino)
        if state == self._seen:
            return
        self._seen, self._tokens = state, ()
        try:
            self._tokens = read_tokens(self.path)
        except ConfigurationError as error:
            _LOG.warning("No token is valid now. %s", error)


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens of a file; none if it does not exist.

    Raises:
        ConfigurationError: other users may read the file, or a line is not a token.
    """
    try:
        with path.open() as file:
            mode = os.fstat(file.fileno()).st_mode
            lines = file.read().splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigurationError(f"{path} cannot be read: {reason.lower()}.") from None
    if mode & 0o077:
        raise ConfigurationError(
            f"Other users may read or change {path} (mode {mode & 0o777:04o}).",
            f"Protect it: chmod 600 {path}. Replace its tokens if others may have read it.",
        )
    return tuple(
        _parse(line.strip(), path, number)
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    )


def _parse(line: str, path: Path, number: int) -> Token:
    name, roles, digest, expires = (*line.split(":"), "", "", "", "")[:4]
    problem = ""
    if line.count(":") not in (2, 3):
        problem = "is not name:role[+role]:sha256[:expires]"
    elif not _NAME.fullmatch(name):
        problem = "has a name with other characters than letters, digits, . _ @ and -"
    elif not _HASH.fullmatch(digest):
        problem = "does not have the SHA-256 of a token in hex as its third part"
    elif not set(roles.split("+")) <= set(ROLES):
        problem = f"has a role that is not one of {', '.join(ROLES)}"
    until = None
    if expires and not problem:
        try:
            until = dt.datetime.strptime(expires, "%Y-%m-%dT%H%MZ").replace(tzinfo=dt.UTC)
        except ValueError:
            problem = "has an end that is not written as 2027-01-31T0930Z"
    if problem:
        raise ConfigurationError(
            f"Line {number} of {path} {problem}.", "Use `exporter token add` to write the file."
        )
    return Token(name, frozenset(roles.split("+")), digest, until)


def add_token(path: Path, name: str, roles: frozenset[str], expires: dt.datetime | None) -> str:
    """Make a token, store its hash, and return it: it cannot be shown again.

    Raises:
        ConfigurationError: the name is taken or not allowed, or the file is not usable.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot be the name of a token.",
            "Use up to 64 letters, digits, and . _ @ -, beginning with a letter or digit.",
        )
    token = f"exporter_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(token.encode()).hexdigest()
    with _changing(path) as tokens:
        if any(known.name == name for known in tokens):
            raise ConfigurationError(
                f"There is already a token named {name}.",
                f"Revoke it first (exporter token revoke {name}), or use another name.",
            )
        tokens.append(replace(Token(name, roles, digest), expires=expires))
    return token


def revoke_token(path: Path, name: str) -> None:
    """Remove a token; sessions that began with it end as well.

    Raises:
        ConfigurationError: there is none of this name.
    """
    with _changing(path) as tokens:
        known = [token.name for token in tokens]
        if name not in known:
            raise ConfigurationError(
                f"There is no token named {name!r}.",
                f"Known names: {', '.join(known)}." if known else "There are no tokens.",
            )
        tokens[:] = [token for token in tokens if token.name != name]


@contextmanager
def _changing(path: Path) -> Iterator[list[Token]]:
    """The tokens in a list, which is written back; two commands at once wait for each other."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        tokens = list(read_tokens(path))
        yield tokens
        # Comments are not kept: the file is written by this command.
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("".join(f"{token.line()}\n" for token in tokens))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        os.close(folder)
