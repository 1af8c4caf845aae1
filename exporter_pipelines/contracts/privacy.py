"""`privacy:` of a `defs.yaml`: which columns are removed, pseudonymised, scanned or kept.

Belongs here: the fields a user may write, the checks against a schema, and the schema that results.
Does not belong here: applying a policy to rows (`privacy`), or reading its key (`settings`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from exporter_pipelines.contracts.row_schema import Column, RowSchema
from exporter_pipelines.contracts.source_config import SourceConfig
from exporter_pipelines.contracts.strict import Strict
from exporter_pipelines.errors import ConfigurationError, UnknownNameError

Kind = Literal["ip", "user", "host", "email", "mac"]
KeyAction = Literal["ip", "user", "host", "email", "mac", "hash", "redact"]
Unit = Literal["minute", "hour", "day"]
AddressScheme = Literal["prefix", "whole", "token"]

REDACTED = "[redacted]"

# Longest first: an action further to the left removes at least as much as one to the right of it.
_STRENGTH = ("drop", "redact", "hash", "pseudonym", "generalise", "scan", "keep")


class ColumnPolicy(Strict):
    """What happens to the values of one column."""

    action: Literal["drop", "redact", "hash", "pseudonym", "generalise", "scan", "keep"] = Field(
        description="`drop` leaves the column out. `redact` writes `[redacted]`. `hash` writes a "
        "keyed hash. `pseudonym` writes a pseudonym of its `kind`. `generalise` writes a coarser "
        "value. `scan` replaces identifiers inside text or JSON. `keep` changes nothing."
    )
    kind: Kind | None = Field(
        None, description="For `pseudonym`: `ip`, `user`, `host`, `email` or `mac`."
    )
    to: Unit | tuple[int, int] | None = Field(
        None,
        description="For `generalise`: `minute`, `hour` or `day` of a time, or the prefix lengths "
        "of IPv4 and IPv6 networks, such as `[24, 48]`.",
    )
    keys: dict[str, KeyAction] = Field(
        default_factory=dict,
        description="For `scan`: key in JSON, at any depth -> `ip`, `user`, `host`, `email`, "
        "`mac`, `hash` or `redact`. Upper and lower case are the same.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> ColumnPolicy:
        if (self.kind is None) == (self.action == "pseudonym"):
            raise ValueError("`kind` belongs to the action `pseudonym`, which needs it")
        if (self.to is None) == (self.action == "generalise"):
            raise ValueError("`to` belongs to the action `generalise`, which needs it")
        if self.keys and self.action != "scan":
            raise ValueError("`keys` belongs to the action `scan`")
        if isinstance(self.to, tuple) and not (0 <= self.to[0] <= 32 and 0 <= self.to[1] <= 128):
            raise ValueError("`to` has prefix lengths from 0 to 32 (IPv4) and 0 to 128 (IPv6)")
        return self

    @property
    def title(self) -> str:
        """The action with its kind, for the manifest."""
        if isinstance(self.to, tuple):
            return f"generalise:/{self.to[0]},/{self.to[1]}"
        return ":".join(filter(None, (self.action, self.kind or self.to)))


class PrivacyConfig(Strict):
    """A privacy policy: every exported column that may hold personal data is named."""

    key: str = Field(
        "EXPORTER_PRIVACY_KEY",
        pattern=r"^([A-Z_][A-Z0-9_]*|file:/.+)$",
        description="The NAME of an environment variable with at least 32 random bytes in base64, "
        "or `file:/path` of a file with them. Never the key itself.",
    )
    scope: Literal["shared", "dataset"] = Field(
        "shared",
        description="`shared`: a subject has the same pseudonym in all datasets with this key, so "
        "they can be joined. `dataset`: in this dataset only.",
    )
    epoch: str = Field(
        "none",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$",
        description="When pseudonyms change: `none`, `month`, `quarter`, or a text of your own, "
        "which you change to rotate them.",
    )
    addresses: AddressScheme = Field(
        "prefix",
        description="Pseudonyms of IP addresses. `prefix` (ipcrypt-pfx) keeps which addresses are "
        "in one network. `whole` (ipcrypt-deterministic) does not; each becomes an IPv6 address. "
        "`token` writes `ip-...`.",
    )
    columns: dict[str, ColumnPolicy] = Field(
        default_factory=dict, description="Exported column -> what happens to its values."
    )
    keep: tuple[str, ...] = Field(
        (), description="Columns that are exported unchanged, as with the action `keep`."
    )
    unlisted: Literal["refuse", "keep"] = Field(
        "refuse",
        description="Exported columns that the policy does not name, other than times, booleans "
        "and floating point numbers: `refuse` exports nothing, `keep` exports them unchanged.",
    )
    known: tuple[str, ...] = Field(
        (),
        description="Further columns whose values are looked for in scanned text and replaced by "
        "`[redacted]`. Values of pseudonyms and hashes are looked for in any case.",
    )
    ordinary_words: tuple[str, ...] = Field(
        (),
        description="Words that are not looked for in text although they are the name of a user or "
        "host, in addition to `admin`, `root`, `test` and others.",
    )
    leak_check: Literal["hold", "warn"] = Field(
        "hold",
        description="What the check `no_raw_identifiers` does when it finds an identifier.",
    )

    @model_validator(mode="after")
    def _names_once(self) -> PrivacyConfig:
        if both := set(self.keep) & set(self.columns):
            raise ValueError(f"column {min(both)!r} is in `columns` and in `keep`")
        return self

    def of(self, column: str) -> ColumnPolicy | None:
        """What happens to a column; None if the policy does not name it."""
        return ColumnPolicy(action="keep") if column in self.keep else self.columns.get(column)

    @property
    def masked(self) -> dict[str, ColumnPolicy]:
        """The columns that the policy changes or leaves out."""
        return {name: each for name, each in self.columns.items() if each.action != "keep"}


def exported_under(policy: PrivacyConfig, schema: RowSchema) -> RowSchema:
    """The schema of the exported rows: dropped columns are gone, tokens are text."""
    columns = [_exported(c, policy.of(c.name)) for c in schema.columns]
    return replace(schema, columns=tuple(c for c in columns if c is not None))


def _exported(column: Column, policy: ColumnPolicy | None) -> Column | None:
    action = policy.action if policy else "keep"
    if action == "drop":
        return None
    if action in ("redact", "hash", "pseudonym") or (policy and isinstance(policy.to, tuple)):
        return replace(column, type=pa.string(), is_json=False, is_identifier=False, values=())
    return column


def check_policy(
    policy: PrivacyConfig, schema: RowSchema, source: SourceConfig, *, all_columns: RowSchema,
    open_ended: bool,
) -> None:  # fmt: skip
    """Check a policy against the columns that are exported.

    Args:
        policy: The policy.
        schema: The exported columns, before the policy.
        source: Names key and time column.
        all_columns: The columns of the dataset, exported or not.
        open_ended: Whether the source may add columns that are not known yet.

    Raises:
        UnknownNameError: the policy names a column that does not exist.
        ConfigurationError: an exported column is not named, or an action does not fit its column.
    """
    for name in (*policy.columns, *policy.keep, *policy.known):
        if name not in all_columns.names and not open_ended:
            raise UnknownNameError("privacy: column", name, all_columns.names)
    if policy.unlisted == "refuse":
        _refuse_unlisted(policy, schema)
    for column in schema.columns:
        if (each := policy.of(column.name)) is not None:
            _check_action(column, each, source)


def _refuse_unlisted(policy: PrivacyConfig, schema: RowSchema) -> None:
    missing = [c for c in schema.columns if needs_a_name(c) and policy.of(c.name) is None]
    if not missing:
        return
    names = ", ".join(repr(column.name) for column in missing)
    raise ConfigurationError(
        f"privacy: the policy does not say what happens to {names}.",
        "Name each column under `columns:` with an action, or under `keep:` to export it as it is.",
    )


def needs_a_name(column: Column) -> bool:
    """Whether a policy must name an exported column: it is no time, boolean or float."""
    harmless = (pa.types.is_timestamp, pa.types.is_boolean, pa.types.is_floating)
    return not any(test(column.type) for test in harmless)


def _check_action(column: Column, policy: ColumnPolicy, source: SourceConfig) -> None:
    is_text = pa.types.is_string(column.type) or column.is_identifier
    holds_text = is_text or pa.types.is_integer(column.type)
    shown = "json" if column.is_json else str(column.type)
    place = f"privacy: column {column.name!r} ({shown})"
    fits = {
        "drop": True,
        "keep": True,
        "redact": holds_text,
        "hash": holds_text,
        "pseudonym": holds_text and not column.is_json,
        "scan": is_text,
        "generalise": column.is_timestamp
        if isinstance(policy.to, str)
        else is_text and not column.is_json,
    }
    if not fits[policy.action]:
        raise ConfigurationError(
            f"{place} cannot have the action {policy.title!r}.",
            f"Possible: {', '.join(action for action, possible in fits.items() if possible)}.",
        )
    if column.name == source.key and policy.action not in ("pseudonym", "hash", "keep"):
        raise ConfigurationError(
            f"{place} is the key, which must still identify a row.",
            "Use `pseudonym`, `hash` or `keep`.",
        )
    if column.name == source.time_column and policy.action not in ("generalise", "keep"):
        raise ConfigurationError(
            f"{place} is the time column, which must still be a time.",
            "Use `generalise` or `keep`.",
        )


def weakened(base: PrivacyConfig, own: PrivacyConfig | None) -> str:
    """How a preset's policy protects less than that of its dataset, as a sentence; "" if not.

    Args:
        base: Policy of the dataset.
        own: Policy of the preset, merged with it.
    """
    if own is None:
        return "privacy: a preset cannot remove the policy of its dataset."
    for name, policy in base.masked.items():
        if not _protects(policy, own.of(name)):
            was, now = policy.title, (mine.title if (mine := own.of(name)) else "keep")
            return f"privacy: a preset cannot weaken column {name!r} from {was!r} to {now!r}."
    for setting, weaker in (("unlisted", "keep"), ("leak_check", "warn"), ("scope", "shared")):
        if getattr(own, setting) == weaker != getattr(base, setting):
            return f"privacy: a preset cannot set {setting} to {weaker!r}."
    if missing := set(base.known) - set(own.known):
        return f"privacy: a preset cannot remove {min(missing)!r} from `known`."
    if added := set(own.ordinary_words) - set(base.ordinary_words):
        return f"privacy: a preset cannot add {min(added)!r} to `ordinary_words`."
    strength = ("token", "whole", "prefix")
    if strength.index(own.addresses) > strength.index(base.addresses):
        return f"privacy: a preset cannot set addresses to {own.addresses!r}."
    if own.epoch != base.epoch and own.epoch == "none":
        return "privacy: a preset cannot set epoch to 'none'."
    return ""


def _protects(base: ColumnPolicy, own: ColumnPolicy | None) -> bool:
    """Whether `own` protects a column at least as well as `base`."""
    if own is None:
        return False
    if base.action != own.action:
        stronger = _STRENGTH.index(own.action) < _STRENGTH.index(base.action)
        # A scan finds nothing in a coarse value; the other actions are ordered.
        return stronger and not (base.action == "scan" and own.action == "generalise")
    if isinstance(base.to, tuple) and isinstance(own.to, tuple):
        return all(mine <= theirs for mine, theirs in zip(own.to, base.to, strict=True))
    if base.action == "generalise":
        units = ("minute", "hour", "day")
        known = base.to in units and own.to in units
        return known and units.index(str(own.to)) >= units.index(str(base.to))
    kept = all(own.keys.get(k) in (v, "redact") for k, v in base.keys.items())
    return kept and own.kind == base.kind


def stated(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a dataset with a policy, without values that may be row content.

    Args:
        config: As in a `defs.yaml`, with names as there.
    """
    shown = {name: value for name, value in config.items() if name != "defaults"}
    if config.get("defaults"):
        shown["defaults"] = dict.fromkeys(config["defaults"], REDACTED)
    shown["filters"] = [_hidden(each, "value") for each in config.get("filters", ())]
    shown["rules"] = [_hidden(each, "params", "sql") for each in config.get("rules", ())]
    shown["transforms"] = [_hidden(each, "params") for each in config.get("transforms", ())]
    shown["source"] = _hidden(config["source"], "query")
    shown["privacy"] = _hidden(config["privacy"], "ordinary_words")
    return shown


def _hidden(settings: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The settings, with `[redacted]` in place of these that have a value."""
    hidden = {name: REDACTED for name in names if settings.get(name) not in (None, {}, [], "")}
    return {**settings, **hidden}
