"""Whether the prediction API may listen on an address."""

from modelworks.access.api_keys import keys_file, read_keys
from modelworks.addresses import is_loopback
from modelworks.errors import ConfigError
from modelworks.settings import Settings


def check_opening(settings: Settings, host: str) -> None:
    """Refuse to open the API to the network before it can know its callers.

    Raises
    ------
    ConfigError
        If `host` is not this computer alone, and there is neither a key, nor an issuer of tokens, nor a proxy that
        authenticates.
    """
    access, file = settings.access, keys_file(settings)
    if is_loopback(host) or access.authentication == "by_proxy" or access.oidc_issuer:
        return
    if file.exists() and read_keys(file):
        return
    why = "has no key" if file.exists() else "is not there"
    raise ConfigError(
        f"the prediction API would answer everybody who reaches {host}, since {file} {why}: make a key with the "
        "command `api-keys add NAME --scopes predict`, or set [access] oidc_issuer and oidc_audience, or "
        '[access] authentication = "by_proxy" where a proxy in front authenticates'
    )
