"""The file of API keys: a name, scopes and a hash for each, never the key itself.

A key is 256 random bits, which nobody finds by trying. So its SHA-256 is enough: a slow hash, such as those for
passwords, protects what people choose, and would cost each request tens of milliseconds.
"""

import hashlib
import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from modelworks.errors import ConfigError
from modelworks.settings import Settings

Scope = Literal["predict", "explain", "read"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

PREFIX = "mwk_"
"""What each key begins with, by which scanners for secrets find one in a commit or a log."""


class ApiKey(BaseModel):
    """What is kept of a key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    scopes: Annotated[list[Scope], Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created: AwareDatetime
    expires: AwareDatetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires is not None and now >= self.expires


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[ApiKey]

    @field_validator("keys")
    @classmethod
    def _names_differ(cls, keys: list[ApiKey]) -> list[ApiKey]:
        names = [each.name for each in keys]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two keys are called {min(doubled)}")
        return keys


def keys_file(settings: Settings) -> Path:
    """Where the keys are."""
    return settings.home / settings.access.api_keys


def hash_key(key: str) -> str:
    """What the file holds of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(file: Path) -> list[ApiKey]:
    """The keys of a file.

    Raises
    ------
    ConfigError
        If it is not there, or not as `api-keys` writes it.
    """
    try:
        return _File.model_validate_json(file.read_bytes()).keys
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; `api-keys add` makes it") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"{file}: not the keys that `api-keys` wrote: {where + ': ' if where else ''}{first['msg']}"
        ) from None


def add_key(file: Path, name: str, scopes: list[str], expires_days: float | None, now: datetime) -> str:
    """Draw a key and keep its hash; returns the key, which is nowhere else.

    Raises
    ------
    ConfigError
        If the name or a scope is none, or another key has the name.
    """
    present = read_keys(file) if file.exists() else []
    if any(each.name == name for each in present):
        raise ConfigError(f"there is a key called {name} already; remove it, or choose another name")
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise ConfigError(f"no scope is called {unknown[0]!r}; the scopes are {', '.join(SCOPES)}")
    key = PREFIX + secrets.token_urlsafe(32)
    expires = now + timedelta(days=expires_days) if expires_days is not None else None
    ordered = [each for each in SCOPES if each in scopes]
    try:
        made = ApiKey(name=name, scopes=ordered, sha256=hash_key(key), created=now, expires=expires)
    except ValidationError:
        wanted = "1 to 63 letters, digits, `.`, `_` and `-`, the first a letter or digit"
        raise ConfigError(f"{name!r} names no key; a name has {wanted}") from None
    _write(file, [*present, made])
    return key


def remove_key(file: Path, name: str) -> None:
    """Forget a key; the API refuses it within seconds.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    present = read_keys(file)
    left = [each for each in present if each.name != name]
    if len(left) == len(present):
        names = ", ".join(each.name for each in present) or "none"
        raise ConfigError(f"{file} has no key called {name}; there are: {names}")
    _write(file, left)


def now() -> datetime:
    """The present moment, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def _write(file: Path, keys: list[ApiKey]) -> None:
    """Replace the file, with its mode; a reader sees the old or the new one, and only its owner reads a new file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    try:
        new.touch(0o600)
        if file.exists():
            new.chmod(file.stat().st_mode & 0o777)
        new.write_text(_File(keys=keys).model_dump_json(indent=1) + "\n", encoding="utf-8")
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
