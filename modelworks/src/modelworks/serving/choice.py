"""Which callers meet the challenger: by a hash of a stable key and the challenger's version."""

from collections.abc import Mapping
from hashlib import blake2b

from modelworks.contract import Contract
from modelworks.data.columnar import Columns


def find_key(contract: Contract, header: str, rows: Columns, headers: Mapping[str, str]) -> str:
    """What a caller is recognized by: the header, or else the contract's key of the first row; "" without either."""
    if header and (given := headers.get(header)):
        return given
    values = [rows.by_name[name][0] for name in contract.key if name in rows.by_name]
    return "\x1f".join(map(str, values)) if any(value is not None for value in values) else ""


def is_chosen(key: str, version: str, share: float) -> bool:
    """Whether a caller meets the challenger; who does at one share does at each larger one."""
    digest = blake2b(f"{version}\x1f{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64
