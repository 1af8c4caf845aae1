"""IP addresses as 16 bytes, and ipcrypt-pfx and ipcrypt-deterministic for many of them at once.

draft-denis-ipcrypt: https://datatracker.ietf.org/doc/draft-denis-ipcrypt/ IPv4 is IPv4-mapped IPv6,
as in the draft. Bytes are parsed, compared and printed several times as fast as `ipaddress` does.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

Address = bytes
"""16 bytes."""

_Numbers = NDArray[np.uint64]
_Cipher = Callable[[bytes], bytes]
"""Encrypts blocks of 16 bytes, each on its own."""

_AT_ONCE = 8192
"""Addresses whose blocks fit into the cache of a core."""

_HALF = 64
"""Bits of half an address."""
_ZEROS = bytes(12)
_MAPPED = bytes(10) + b"\xff\xff"
_NOBODYS = {bytes(16), bytes(15) + b"\x01", _MAPPED + bytes(4), _MAPPED + b"\xff\xff\xff\xff"}


def parsed(text: str) -> Address | None:
    """The address in a text; IPv4 inside IPv6 is IPv4, and `010.001.002.003` is 10.1.2.3."""
    try:
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text)
        return _MAPPED + socket.inet_pton(socket.AF_INET, text)
    except (OSError, UnicodeEncodeError, ValueError):
        pass
    if ":" in text or ".0" not in f".{text}" or not text.isascii():
        return None
    shorter = ".".join(part.lstrip("0") or "0" for part in text.split("."))
    return parsed(shorter) if shorter != text else None


def printed(address: Address) -> str:
    """An address as text, as `ipaddress` prints it; an IPv4-mapped one is IPv4."""
    if address.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, address[12:])
    if address.startswith(_ZEROS):  # of these, C libraries print some with IPv4 inside
        return str(ipaddress.IPv6Address(address))
    return socket.inet_ntop(socket.AF_INET6, address)


def is_ipv4(address: Address) -> bool:
    """Whether it is IPv4."""
    return address.startswith(_MAPPED)


def is_ipv4_text(text: str) -> bool:
    """Whether a text is an IPv4 address."""
    return ":" not in text and parsed(text) is not None


def is_nobodys(address: Address) -> bool:
    """Whether an address is the same everywhere and identifies nobody; it stays readable.

    Loopback, unspecified, multicast and broadcast addresses.
    """
    if is_ipv4(address):
        return address[12] == 127 or 224 <= address[12] <= 239 or address in _NOBODYS
    return address[0] == 0xFF or address in _NOBODYS


def network_of(address: Address, lengths: tuple[int, int]) -> str:
    """The network of an address, with the prefix length for IPv4 or for IPv6."""
    short = is_ipv4(address)
    packed, length = (address[12:], lengths[0]) if short else (address, lengths[1])
    return str(ipaddress.ip_network((packed, length), strict=False))


def prefix_pseudonyms(addresses: list[Address], key: bytes) -> list[Address]:
    """ipcrypt-pfx: addresses of one network get pseudonyms of one network.

    Args:
        addresses: IPv4 stays IPv4, IPv6 stays IPv6.
        key: 32 bytes.
    """
    found = list(addresses)
    ciphers = _cipher(key[:16]), _cipher(key[16:32])
    v4: list[int] = []
    v6: list[int] = []
    for i, each in enumerate(addresses):
        (v4 if each.startswith(_MAPPED) else v6).append(i)
    for first_bit, where in ((96, v4), (0, v6)):
        for start in range(0, len(where), _AT_ONCE):
            some = where[start : start + _AT_ONCE]
            numbers = np.frombuffer(b"".join(addresses[i] for i in some), ">u8").reshape(-1, 2)
            high, low = _prefix_preserving(
                numbers[:, 0].astype(np.uint64), numbers[:, 1].astype(np.uint64), first_bit, ciphers
            )
            packed = np.stack([high, low], axis=1).astype(">u8").tobytes()
            for number, i in enumerate(some):
                found[i] = packed[16 * number : 16 * number + 16]
    return found


def whole_pseudonyms(addresses: list[Address], key: bytes) -> list[Address]:
    """ipcrypt-deterministic: each address becomes an IPv6 address that keeps no network.

    Args:
        addresses: IPv4 and IPv6.
        key: 16 bytes.
    """
    mixed = _cipher(key)(b"".join(addresses))
    return [mixed[start : start + 16] for start in range(0, len(mixed), 16)]


def _prefix_preserving(
    high: _Numbers, low: _Numbers, first_bit: int, ciphers: tuple[_Cipher, _Cipher]
) -> tuple[_Numbers, _Numbers]:
    """Encrypt numbers bit by bit, each with a keystream bit of the bits before it."""
    order = np.lexsort((low, high))
    high, low = high[order], low[order]
    same = _bits_in_common(high, low)
    out_high, out_low = high.copy(), low.copy()
    for bit in range(first_bit, 128):
        # Addresses that begin alike follow each other; the first one computes for all of them.
        is_first = same < bit
        blocks = _bits_before(high[is_first], low[is_first], bit).tobytes()
        first, second = (np.frombuffer(each(blocks), np.uint8)[15::16] for each in ciphers)
        stream = ((first ^ second) & 1).astype(np.uint64)[np.cumsum(is_first) - 1]
        target = out_high if bit < _HALF else out_low
        target ^= stream << np.uint64(_HALF - 1 - bit % _HALF)
    back = np.argsort(order)
    return out_high[back], out_low[back]


def _bits_before(high: _Numbers, low: _Numbers, bit: int) -> NDArray[np.void]:
    """The bits before one bit, as blocks, with a 1 in front of them that marks their number."""
    blocks = np.zeros((len(high), 2), ">u8")
    shift, mark = np.uint64(_HALF - bit % _HALF), np.uint64(1 << bit % _HALF)
    if bit < _HALF:
        blocks[:, 1] = _shifted(high, shift) | mark
    else:
        blocks[:, 0] = _shifted(high, shift) | mark
        blocks[:, 1] = (high << (np.uint64(_HALF) - shift)) | _shifted(low, shift)
    return blocks


def _shifted(numbers: _Numbers, shift: np.uint64) -> _Numbers:
    """Numbers without their last bits; 0 if these are all."""
    return numbers >> shift if shift < _HALF else np.zeros_like(numbers)


def _bits_in_common(high: _Numbers, low: _Numbers) -> NDArray[np.int64]:
    """How many bits each number has in common with the one before; -1 for the first one."""
    found = np.full(len(high), -1)
    high_differs, low_differs = high[1:] ^ high[:-1], low[1:] ^ low[:-1]
    found[1:] = np.where(
        high_differs, 63 - _highest_bit(high_differs), 127 - _highest_bit(low_differs)
    )
    return found


def _highest_bit(numbers: _Numbers) -> NDArray[np.int64]:
    """The position of the highest bit of each number; -1 for 0."""
    upper = (numbers >> np.uint64(32)).astype(np.float64)
    lower = (numbers & np.uint64(0xFFFFFFFF)).astype(np.float64)  # both are exact
    return np.where(upper > 0, np.frexp(upper)[1] + 31, np.frexp(lower)[1] - 1)


def _cipher(key: bytes) -> _Cipher:
    # The drafts use AES as a function of one block; no two blocks of a message are chained.
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update  # noqa: S305
