"""Who may ask the prediction API: its keys, and the addresses on which it may listen without any."""

from modelworks.access.api_keys import ApiKey, Scope, keys_file, read_keys
from modelworks.access.opening import check_opening

__all__ = ["ApiKey", "Scope", "check_opening", "keys_file", "read_keys"]
