"""What the replicas of the API count while a rollout goes on: requests, errors and latency of both models.

Each replica keeps one small file for each step in the storage, and writes it anew every few seconds; whoever decides
adds the files up. A replica that is killed loses the last seconds.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from modelworks.data import files
from modelworks.data.filesystems import open_filesystem

BOUNDS_MS = tuple(round(0.25 * 2 ** (n / 2), 4) for n in range(34))
"""Upper ends of the buckets of latency: from a quarter of a millisecond to 23 s, each 1.41 times the one before."""


@dataclass
class Counts:
    """Requests to one model.

    Attributes
    ----------
    errors : of the challenger's requests, those that the champion answered in its place
    buckets : requests by latency; one bucket more than `BOUNDS_MS`
    """

    requests: int = 0
    errors: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))

    def count(self, seconds: float, *, is_error: bool = False) -> None:
        """Count one request."""
        self.requests += 1
        self.errors += is_error
        self.buckets[bisect_left(BOUNDS_MS, 1000 * seconds)] += 1

    def quantile_ms(self, share: float) -> float:
        """Milliseconds within which this share of the requests was answered: the upper end of its bucket."""
        wanted, seen = share * self.requests, 0
        for bound, count in zip([*BOUNDS_MS, float("inf")], self.buckets, strict=True):
            seen += count
            if seen >= wanted:
                return bound
        return float("inf")


@dataclass
class Traffic:
    """What one replica, or all of them, counted in a step.

    Attributes
    ----------
    shadow_rows, shadow_dropped, shadow_errors : rows that the process of the shadow predicted, that found no room in
        its queue, and that it could not predict
    """

    champion: Counts = field(default_factory=Counts)
    challenger: Counts = field(default_factory=Counts)
    shadow_rows: int = 0
    shadow_dropped: int = 0
    shadow_errors: int = 0

    def to_json(self) -> dict[str, Any]:
        """The counts as `json.dumps` takes them."""
        return asdict(self)


def add_up(several: Iterable[Traffic]) -> Traffic:
    """The sums over replicas or steps."""
    total = Traffic()
    for each in several:
        for own, its in ((total.champion, each.champion), (total.challenger, each.challenger)):
            own.requests += its.requests
            own.errors += its.errors
            own.buckets = [one + other for one, other in zip(own.buckets, its.buckets, strict=True)]
        total.shadow_rows += each.shadow_rows
        total.shadow_dropped += each.shadow_dropped
        total.shadow_errors += each.shadow_errors
    return total


def save_traffic(folder: str, step: int, replica: str, traffic: Traffic) -> None:
    """Write the counts of a replica in a step, in place of those that it wrote before."""
    files.replace_at(f"{folder}/step-{step}/{replica}.json", json.dumps(traffic.to_json()).encode())


def read_traffic(folder: str, steps: Sequence[int]) -> Traffic:
    """The counts of all replicas in some steps of a rollout."""
    fs, path = open_filesystem(folder)
    fs.invalidate_cache(path)
    found = [file for step in steps for file in sorted(fs.glob(f"{path}/step-{step}/*.json"))]
    return add_up(_from_json(json.loads(fs.cat_file(file))) for file in found)


def _from_json(content: dict[str, Any]) -> Traffic:
    both = {name: Counts(**content[name]) for name in ("champion", "challenger")}
    return Traffic(**{**content, **both})
