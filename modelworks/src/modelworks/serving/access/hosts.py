"""By which name the API is called: a web page that had its own name resolved to this computer is not answered."""

from functools import lru_cache

from modelworks.addresses import parse_address

ANY = "*"


class Hosts:
    """The names that a `Host` header may have.

    An address is always one of them: a page that rebinds a name sends that name, and a page of an address reaches that
    address only.

    Parameters
    ----------
    names : such as "api.example.com" or "*.example.com"; "*" is any
    """

    def __init__(self, names: list[str]) -> None:
        lower = {"localhost", *(each.lower() for each in names)}
        self._names = {each for each in lower if not each.startswith(ANY)}
        self._suffixes = tuple(each.removeprefix(ANY) for each in lower if each.startswith("*."))
        self._takes_any = ANY in lower
        self.allow = lru_cache(maxsize=256)(self._allow)

    def _allow(self, host: str) -> bool:
        """Whether a `Host` header, with a port or without, is one of ours."""
        if self._takes_any:
            return True
        name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
        name = name.lower().removesuffix(".")
        return name in self._names or name.endswith(self._suffixes) or parse_address(name) is not None
