"""How often each caller may ask: a token bucket for each."""

from collections.abc import Callable
from time import monotonic

MAX_CALLERS = 10_000
"""Buckets that are kept; the one not used for longest goes first."""

BURST_S = 10.0
"""Seconds' worth of requests that may come at once."""


class RateLimits:
    """The requests that each caller has left.

    Parameters
    ----------
    per_minute : requests; 0: no limit
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = monotonic) -> None:
        self._per_second = per_minute / 60
        self._burst = max(1.0, self._per_second * BURST_S)
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> float:
        """Take one request of a caller; returns 0, or the seconds until the next one may come."""
        if not self._per_second:
            return 0.0
        now = self._clock()
        left, since = self._left.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._per_second)
        wait_s = 0.0 if left >= 1 else (1 - left) / self._per_second
        self._left[caller] = (left if wait_s else left - 1), now
        if len(self._left) > MAX_CALLERS:
            del self._left[next(iter(self._left))]
        return wait_s
