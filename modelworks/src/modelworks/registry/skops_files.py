"""Files of skops with the same bytes for the same model."""

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

SCHEMA = "schema.json"
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first time that an archive can note."""


def make_reproducible(file: Path) -> None:
    """Rewrite a file of skops so that its bytes follow from the model alone.

    skops numbers objects by their addresses in memory, names arrays by these numbers and other content by chance, and
    the archive notes the time of each. Here all are numbered in the order in which they occur, and no time is noted.
    """
    with ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    numbers: dict[int, int] = {}
    names: dict[str, str] = {}

    def rename(fields: dict[str, Any]) -> dict[str, Any]:
        number, name = fields.get("__id__"), fields.get("file")
        if isinstance(number, int):
            fields["__id__"] = numbers.setdefault(number, len(numbers) + 1)
        if isinstance(name, str) and name in content:
            fields["file"] = names.setdefault(name, f"{len(names) + 1}{Path(name).suffix}")
        return fields

    schema = json.loads(content[SCHEMA], object_hook=rename)
    with ZipFile(file, "w") as archive:
        for name, renamed in names.items():
            archive.writestr(ZipInfo(renamed, EARLIEST), content[name])
        archive.writestr(ZipInfo(SCHEMA, EARLIEST), json.dumps(schema, indent=2))
