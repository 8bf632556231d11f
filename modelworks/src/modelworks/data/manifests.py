"""What is recorded of stored rows: parts, partitions of them, and datasets of partitions."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from typing import Any, Literal

Layer = Literal["raw", "clean", "quarantine", "scores"]


@dataclass(frozen=True)
class Part:
    """A Parquet file of a partition.

    Attributes
    ----------
    file : its name in the partition's folder, the first digits of its SHA-256
    """

    file: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class LocatedPart:
    """A part, and the file and rows that errors name."""

    part: Part
    where: str


@dataclass(frozen=True)
class Partition:
    """One period of one layer, as its manifest describes it.

    Attributes
    ----------
    parts : its files, in the order of their rows
    sha256 : of its only file; of the list of the hashes, if there are several
    """

    layer: Layer
    period: str
    version: int
    uri: str
    parts: tuple[Part, ...]
    sha256: str
    source: str
    source_sha256: str
    contract_version: str
    created_at: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def files(self) -> list[str]:
        """URI of each part."""
        return [f"{self.uri}/{part.file}" for part in self.parts]

    @property
    def located(self) -> list[LocatedPart]:
        """The parts, each with its place in words, which is empty if it is the only one."""
        ends = list(accumulate(part.rows for part in self.parts))
        return [
            LocatedPart(part, f"{uri}, rows {end - part.rows + 1:,} to {end:,}" if len(ends) > 1 else "")
            for part, uri, end in zip(self.parts, self.files, ends, strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """The fields of the manifest. It holds no location, so that the whole storage can be moved."""
        return {name: value for name, value in asdict(self).items() if name != "uri"} | {"rows": self.rows}

    @classmethod
    def from_json(cls, uri: str, fields: dict[str, Any]) -> "Partition":
        """The partition whose manifest `to_json` gave, in the folder where it was found."""
        parts = tuple(Part(**each) for each in fields["parts"])
        others = {name: value for name, value in fields.items() if name not in {"parts", "rows"}}
        return cls(uri=uri, parts=parts, **others)


@dataclass(frozen=True)
class Dataset:
    """Partitions in order of time; the digest is that of all their bytes."""

    uri: str
    digest: str
    partitions: list[Partition]

    @property
    def periods(self) -> list[str]:
        """The periods of the partitions, in order of time."""
        return [partition.period for partition in self.partitions]

    @property
    def rows(self) -> int:
        """Rows of all partitions."""
        return sum(partition.rows for partition in self.partitions)


def digest_parts(parts: tuple[Part, ...]) -> str:
    """The hash of the only part, or else of the list of their hashes."""
    hashes = [part.sha256 for part in parts]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(json.dumps(hashes).encode()).hexdigest()


def digest_partitions(partitions: list[Partition]) -> str:
    """The hash of the list of partitions."""
    members = [[partition.layer, partition.period, partition.sha256] for partition in partitions]
    return hashlib.sha256(json.dumps(members).encode()).hexdigest()
