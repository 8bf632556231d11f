"""Which files of the vendored engine differ from those that the template wrote."""

from hashlib import sha256
from pathlib import Path

from modelworks.wording import count

ENGINE, RECORD = "vendor/modelworks", "vendor/modelworks.sha256"
NOT_RECORDED = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}


def describe_changes(home: Path) -> str:
    """The files of the engine that were changed, added or removed, for a person."""
    if not (home / RECORD).is_file():
        return f"engine: no {RECORD}, so changes of the engine cannot be seen"
    changes = find_changes(home / ENGINE, read_record(home / RECORD))
    if not changes:
        return "engine: as the template wrote it"
    lines = [f"  {name}: {what}" for name, what in changes.items()]
    title = f"warning: {count(len(changes), 'file')} of {ENGINE} changed; an update of the template replaces them:"
    return "\n".join([title, *lines])


def read_record(file: Path) -> dict[str, str]:
    """SHA-256 by file, from lines as `sha256sum` writes them."""
    lines = (line.split(maxsplit=1) for line in file.read_text(encoding="utf-8").splitlines() if line)
    return {name.strip().removeprefix("*"): digest for digest, name in lines}


def find_changes(folder: Path, recorded: dict[str, str]) -> dict[str, str]:
    """`changed`, `added` or `removed` by file, for those that differ from the record."""
    present = {name: sha256((folder / name).read_bytes()).hexdigest() for name in _files(folder)}
    found = dict.fromkeys(recorded.keys() - present.keys(), "removed")
    found |= dict.fromkeys(present.keys() - recorded.keys(), "added")
    found |= {name: "changed" for name in present.keys() & recorded.keys() if present[name] != recorded[name]}
    return dict(sorted(found.items()))


def _files(folder: Path) -> list[str]:
    parts = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return [each.as_posix() for each in parts if not _is_built(each)]


def _is_built(path: Path) -> bool:
    return any(part in NOT_RECORDED or part.endswith(".egg-info") for part in path.parts)
