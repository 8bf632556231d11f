"""Whoever is authenticated."""

from dataclasses import dataclass
from datetime import datetime

from modelworks.access import Scope


@dataclass(frozen=True)
class Caller:
    """A key, or the subject of a token.

    Attributes
    ----------
    name : has a rate limit of its own
    label : in metrics
    expires : when its key or token expires; None: never, or not known here
    """

    name: str
    label: str
    scopes: frozenset[Scope]
    expires: datetime | None = None
