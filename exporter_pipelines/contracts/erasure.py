"""The erasure of a subject: a person, a host or an address that must be in no export.

Belongs here: what the ledger and manifests say about it; never the subject itself.
Does not belong here: finding a subject in rows (`privacy`), or removing it (`engine`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from exporter_pipelines.contracts.checked_values import Moment, Number, Sha256

SubjectKind = Literal["ip", "user", "host", "email", "mac"]

REQUEST = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
"""Pattern of the id of a request, which is published."""


class ErasedSubject(BaseModel):
    """A tombstone: recognises a subject when rows are read again, and does not reveal it.

    First word and signs let a search hash few candidates instead of every part of a text.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = Field(description="Random; the same in all datasets.")
    kind: SubjectKind = Field(description="How it is written.")
    digest: Sha256 = Field(description="HMAC-SHA256 of the subject.")
    first: str = Field(description="The first 32 bits of the HMAC of its first word.")
    signs: tuple[str, ...] = Field(
        ("", ""),
        min_length=2,
        description="What is before, between and after its words, such as `.` and `@`.",
    )
    whole_rows: bool = Field(
        False, description="Whether rows are removed that have it only in a text (`--rows`)."
    )
    key: str | None = Field(
        None,
        description="Name of the privacy key that was used. None: the secret of the output.",
    )
    key_id: str | None = Field(None, description="`key_id` of the privacy key.")


class Erasure(BaseModel):
    """What an erasure removed from a day; in its manifest."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    request: str = Field(description="Id of the request, given by the operator.", examples=["R-17"])
    rows: Number = Field(description="Rows that were removed.", examples=[12])
    values: Number = Field(
        description="Texts and JSON documents in which the subject was redacted.", examples=[3]
    )
    at: Moment = Field(
        description="When the erasure was recorded, UTC.", examples=["2026-11-28T10:00:00Z"]
    )


def merged(erasures: list[Erasure]) -> list[Erasure]:
    """One entry per request, in the order of their first ones; counts are added."""
    found: dict[str, Erasure] = {}
    for each in erasures:
        if known := found.get(each.request):
            counts = {"rows": known.rows + each.rows, "values": known.values + each.values}
            found[each.request] = known.model_copy(update=counts)
        else:
            found[each.request] = each
    return list(found.values())
