"""The table of pipeline.toml about who may ask the prediction API."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from modelworks.addresses import is_loopback
from modelworks.settings.base import Section

HostName = Annotated[str, Field(pattern=r"^(\*|(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)$")]


class Access(Section):
    """Who may ask the prediction API, and by which name."""

    authentication: Literal["auto", "by_proxy"] = "auto"
    """Who asks callers for a key or token. "auto": the API, once it has an `api_keys` file or an `oidc_issuer`; without
    either it answers this computer only. "by_proxy": a proxy in front; the API asks nobody."""
    api_keys: str = Field("var/api-keys.json", min_length=1)
    """File of the API keys, as the command `api-keys` writes it; read again when it changes."""
    oidc_issuer: str = ""
    """URL of an OpenID Connect issuer, whose access tokens are taken as well; "": none."""
    oidc_audience: str = ""
    """The `aud` that a token has to have; has to be given with `oidc_issuer`."""
    requests_per_minute: int = Field(0, ge=0)
    """Requests of one key or of one token's subject, to each process of the API; 0: no limit."""
    allowed_hosts: list[HostName] = Field(default_factory=list)
    """Names by which the API is called, beside localhost and addresses: "api.example.com", "*.example.com"; "*": any
    name."""

    @model_validator(mode="after")
    def _issuer_can_be_trusted(self) -> "Access":
        if bool(self.oidc_issuer) != bool(self.oidc_audience):
            raise ValueError("oidc_issuer and oidc_audience belong together; set both, or neither")
        if self.oidc_issuer:
            check_issuer_url(self.oidc_issuer, "oidc_issuer")
        return self


def check_issuer_url(url: str, name: str) -> None:
    """Refuse an address whose answers somebody on the way could replace.

    Raises
    ------
    ValueError
        If it is neither https nor on this computer.
    """
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not is_safe or not parts.hostname:
        raise ValueError(f"{name} {url!r} is no https:// URL; http:// is for an issuer on this computer only")
