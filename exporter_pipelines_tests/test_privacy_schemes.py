"""Pseudonyms: the published ciphers, tokens, and keys."""

from __future__ import annotations

import base64
import ipaddress
import random

import ipcrypt.deterministic
import ipcrypt.pfx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter_pipelines.contracts.privacy import PrivacyConfig
from exporter_pipelines.privacy.addresses import (
    Address,
    parsed,
    prefix_pseudonyms,
    printed,
    whole_pseudonyms,
)
from exporter_pipelines.privacy.keys import KeyRing, epoch_of, master_key
from exporter_pipelines.privacy.pseudonyms import Pseudonyms

PFX_KEY = bytes.fromhex("0123456789abcdeffedcba98765432101032547698badcfeefcdab8967452301")
DET_KEY = bytes.fromhex("0123456789abcdeffedcba9876543210")


def packed(text: str) -> Address:
    """An address as 16 bytes."""
    address = parsed(text)
    assert address is not None
    return address


@pytest.mark.parametrize(
    ("address", "pseudonym"),
    [
        ("0.0.0.0", "151.82.155.134"),
        ("255.255.255.255", "94.185.169.89"),
        ("192.0.2.1", "100.115.72.131"),
        ("2001:db8::1", "c180:5dd4:2587:3524:30ab:fa65:6ab6:f88"),
    ],
)
def test_prefix_vectors_of_the_draft(address: str, pseudonym: str) -> None:
    assert [printed(a) for a in prefix_pseudonyms([packed(address)], PFX_KEY)] == [pseudonym]


def test_deterministic_vector_of_the_draft() -> None:
    key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    assert printed(whole_pseudonyms([packed("0.0.0.0")], key)[0]) == (
        "bde9:6789:d353:824c:d7c6:f58a:6bd2:26eb"
    )


def test_ciphers_agree_with_the_published_package() -> None:
    random.seed(1)
    v4 = [ipaddress.IPv4Address(random.getrandbits(32)) for _ in range(1000)]
    v6 = [ipaddress.IPv6Address(random.getrandbits(128)) for _ in range(1000)]
    mixed = [each for pair in zip(v4, v6, strict=True) for each in pair]
    addresses = [packed(str(each)) for each in mixed]
    whole = [printed(each) for each in whole_pseudonyms(addresses, DET_KEY)]
    assert whole == [str(ipcrypt.deterministic.encrypt(each, DET_KEY)) for each in mixed]
    prefix = [printed(each) for each in prefix_pseudonyms(addresses[:400], PFX_KEY)]
    assert prefix == [str(ipcrypt.pfx.encrypt(each, PFX_KEY)) for each in mixed[:400]]


def test_addresses_are_read_and_printed_as_python_does() -> None:
    for text in ("::", "::1", "::1.2.3.4", "::ffff:0:1.2.3.4", "2001:DB8:0:0:1::1", "1.2.3.4",
                 "fe80::1", "::ffff:1.2.3.4", "64:ff9b::1.2.3.4"):  # fmt: skip
        address = ipaddress.ip_address(text)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        assert printed(packed(text)) == str(mapped or address)
    assert printed(packed("010.001.002.003")) == "10.1.2.3"
    for text in ("1.2.3", "1.2.3.256", "", "a", "1.2.3.4.5", ":::", "1::2::3", "0x1.2.3.4"):
        assert parsed(text) is None


def test_keys_are_separate() -> None:
    ring = KeyRing(bytes(range(32)), "shared", "none")
    info = b"exporter/v1|shared|none|user"
    for length in (16, 32, 64):
        expected = HKDF(hashes.SHA256(), length, None, info).derive(ring.master)
        assert ring.key("user", length) == expected
    dataset, other = (
        KeyRing(ring.master, "dataset:logs", "none"),
        KeyRing(ring.master, "shared", "b"),
    )
    keys = {each.key(kind) for each in (ring, dataset, other) for kind in ("user", "host", "ip")}
    assert len(keys) == 9
    assert repr(ring.master) not in repr(ring)
    assert ring.key_id == other.key_id != KeyRing(bytes(32), "shared", "none").key_id


def test_epochs_follow_the_day() -> None:
    def of(epoch: str, day: str) -> str:
        return epoch_of(PrivacyConfig(key="K", epoch=epoch), day)

    quarters = [of("quarter", f"2026-{month:02}-01") for month in (1, 3, 4, 12)]
    assert quarters == ["2026-q1", "2026-q1", "2026-q2", "2026-q4"]
    assert [of(e, "2026-11-30") for e in ("month", "none", "x")] == ["2026-11", "none", "x"]


@given(st.binary(min_size=32, max_size=64))
def test_keys_are_read_in_both_alphabets_of_base64(key: bytes) -> None:
    if len(set(key)) >= 12:
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            assert master_key("K", f" {encode(key).decode()}\n") == key


@settings(max_examples=50)
@given(st.text(min_size=1, max_size=20))
def test_a_value_has_one_pseudonym(value: str) -> None:
    pseudonyms = Pseudonyms(PrivacyConfig(key="K"), KeyRing(bytes(range(32)), "shared", "none"))
    for kind in ("user", "host", "email", "ip", "mac", "hash"):
        masked = pseudonyms.of(kind, value)
        assert masked == pseudonyms.of_many(kind, [value])[0]
        assert not value.strip() or masked != value


def test_spellings_of_a_subject_have_one_pseudonym() -> None:
    of = Pseudonyms(PrivacyConfig(key="K"), KeyRing(bytes(range(32)), "shared", "none")).of
    assert of("user", "Anna.K ") == of("user", "anna.k")
    assert of("user", "anna.k") == of("email", "ANNA.K@x.org").split("@")[0]
    assert of("ip", "10.1.2.3") == of("host", "::ffff:10.1.2.3") == of("user", "010.1.2.3")
    assert of("mac", "AA-BB-CC-DD-EE-FF") == of("mac", "aabb.ccdd.eeff")
    assert of("ip", "10.1.2.3/24") == of("ip", "10.1.2.3") + "/24"
    assert of("ip", "fe80::1%eth0") == of("ip", "fe80::1") + "%eth0"
    assert of("user", "anna")[5:] != of("host", "anna")[5:]
    assert of("ip", "127.0.0.1") == "127.0.0.1"
    assert of("ip", "not an address").startswith("ip-")
