"""The files that an adopted table leads to: contract.py, pipeline.toml, data, a sample for the tests."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent

import pyarrow.parquet as pq

from . import recipe
from .plan import Column, Plan

SAMPLE_MONTHS, SAMPLE_ROWS = 3, 2000

CONTRACT = '''\
"""The data contract, declared once; reading, validation, features and the model's signature derive from it.

{origin}
It is yours now: mend what was inferred wrongly.
"""

from typing import Any

from .declaration import {words}

TASK: Task = {task}
CLASSES: list[Any] = {classes}
"""Values of the target; of two, the second is the one whose probability is predicted."""

COLUMNS = {{
{columns}
}}

KEY = {key}
"""Tells the rows of a month apart."""
GROUP = {group}
"""Column whose rows belong together, such as one for each visit of a patient; only where there is no time column."""
SLICES: list[str] = {slices}
"""Columns whose values are judged one by one when a model is evaluated."""

EXAMPLE: dict[str, Any] = {example}
"""A real row, without what is known only afterwards, for the pages of the prediction API."""
'''

README = """\
# {name}

{origin}

{table}

`import.toml` says how files as they come become these; `{command} import FILE` does it.
{rejected}"""


@dataclass
class Change:
    """What is done to the project; paths are relative to its folder.

    Attributes
    ----------
    write : new files, by the path of what is ready to take its place
    remove : files and folders
    """

    write: dict[str, Path] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)


def contract_text(plan: Plan, origin: str) -> str:
    """contract.py, in the words of declaration.py."""
    words = ["Task", "column"]
    if any(column.low is not None for column in plan.columns):
        words.append("between")
    if plan.classes:
        words.append("one_of")
    text = CONTRACT.format(
        origin=origin.replace("\\", "/").replace('"""', "'''"),
        words=", ".join(sorted(words)),
        task=quote(plan.task),
        classes=_list(plan.classes),
        columns="\n".join(indent(_column(plan, column), "    ") for column in plan.columns),
        key=_list(plan.key),
        group=quote(plan.group),
        slices=_list(plan.slices),
        example=_dict(plan.example),
    )
    return _formatted(text)


def quote(value: object) -> str:
    """A literal in double quotes, as ruff writes it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _column(plan: Plan, column: Column) -> str:
    parts = [quote(column.role), quote(column.dtype), quote(column.description)]
    if column.role == "target" and plan.classes:
        parts.append("one_of(*CLASSES)")
    elif column.low is not None and column.high is not None:
        is_int = column.dtype == "int64"
        parts.append(f"between({_number(column.low, is_int)}, {_number(column.high, is_int)})")
    if column.nullable:
        parts.append("nullable=True")
    line = f"{quote(column.name)}: column({', '.join(parts)}),"
    if len(line) + 4 <= 120:
        return line
    return (
        f"{quote(column.name)}: column(\n    {', '.join(parts)}\n),"
        if len(", ".join(parts)) <= 112
        else (f"{quote(column.name)}: column(\n" + "".join(f"    {part},\n" for part in parts) + "),")
    )


def _number(value: float, is_int: bool) -> str:
    return repr(int(value)) if is_int or (value.is_integer() and abs(value) < 1e15) else repr(value)


def _list(values: Sequence[object]) -> str:
    line = f"[{', '.join(map(quote, values))}]"
    return line if len(line) <= 90 else "[\n" + "".join(f"    {quote(value)},\n" for value in values) + "]"


def _dict(values: dict[str, object]) -> str:
    return "{\n" + "".join(f"    {quote(name)}: {quote(value)},\n" for name, value in values.items()) + "}"


def _formatted(text: str) -> str:
    """As `make fix` would have it, where ruff is installed."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    if not ruff:
        return text
    command = [ruff, "format", "--quiet", "--line-length", "120", "-"]
    made = subprocess.run(command, input=text, capture_output=True, text=True, encoding="utf-8", check=False)
    return made.stdout if made.returncode == 0 else text


def readme_text(plan: Plan, origin: str, name: str, rejected: int) -> str:
    """data/README.md."""
    rows = [f"| `{column.name}` | {column.role} | {column.dtype} | {column.description} |" for column in plan.columns]
    table = "\n".join(["| column | role | type | meaning |", "| --- | --- | --- | --- |", *rows])
    told = (
        f"\n`rejected.csv` has the {rejected:,} rows that could not be read, as they came, and why.\n"
        if rejected
        else ""
    )
    return README.format(name=name, origin=origin, table=table, command=Path(sys.argv[0]).name, rejected=told)


def write_sample(files: dict[str, Path], folder: Path, target: str) -> list[Path]:
    """Some rows of the newest months for the tests, of every class if there are classes; below `folder`."""
    folder.mkdir()
    made = []
    for month in sorted(files)[-SAMPLE_MONTHS:]:
        table = pq.read_table(files[month])
        frame = table.select([target]).to_pandas()
        step = -(-len(frame) // SAMPLE_ROWS)
        wanted = set(range(0, len(frame), step))
        if frame[target].nunique() <= 100:
            for _, rows in frame.groupby(target):
                wanted |= set(rows.index[:10])
        made.append(folder / files[month].name)
        pq.write_table(table.take(sorted(wanted)), made[-1], compression="zstd")
    return made


def without_flights(text: str) -> str:
    """pyproject.toml, by which an update from the template no longer brings tests of the flights."""
    if re.search(r"^\[tool\.cruft\]\nskip = \[[^]]*\"tests/flights\"", text, re.MULTILINE):
        return text
    return re.sub(
        r"(^\[tool\.cruft\]\nskip = \[[^]]*)\]", r'\1    "tests/flights",\n]', text, count=1, flags=re.MULTILINE
    )


def find_removals(home: Path, old_uri: str) -> list[str]:
    """What belongs to the data that the project has had so far: its files in data/, its tests and their sample."""
    found = []
    pattern = re.escape(Path(old_uri).name).replace(r"\{month\}", r"\d{4}-\d{2}")
    for file in sorted((home / "data").glob("*")):
        is_theirs = re.fullmatch(pattern, file.name) or file.name in {"rejected.csv", "import.toml"}
        if old_uri.startswith("data/") and is_theirs:
            found.append(f"data/{file.name}")
    manifest = home / "data" / "MANIFEST.json"
    with suppress(OSError, ValueError):
        if all(re.fullmatch(pattern, name) for name in json.loads(manifest.read_text(encoding="utf-8"))):
            found.append("data/MANIFEST.json")
    found += [f"tests/{name}" for name in ("flights", "sample") if (home / "tests" / name).is_dir()]
    return found


def apply(home: Path, change: Change) -> None:
    """Put what is ready in its place, and then remove; a file's place is taken in one step."""
    for path in change.remove:
        if path.startswith("tests/"):
            shutil.rmtree(home / path, ignore_errors=True)
    for path, ready in change.write.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        ready.replace(home / path)
    for path in change.remove:
        if path not in change.write and not path.startswith("tests/"):
            (home / path).unlink(missing_ok=True)


def write_all(
    home: Path,
    folder: Path,
    plan: Plan,
    files: dict[str, Path],
    rejected: Path | None,
    pipeline: str,
    origin: str,
    name: str,
) -> Change:
    """Make every file in a folder of its own, ready to be put in its place."""
    package = Path(__file__).resolve().parents[1].name
    rows = plan.measures.rejected if rejected else 0
    texts = {
        f"src/{package}/contract.py": contract_text(plan, origin),
        "pipeline.toml": pipeline,
        "data/README.md": readme_text(plan, origin, name, rows),
        "data/import.toml": recipe.dump(plan.readings.recipe),
    }
    project = (home / "pyproject.toml").read_text(encoding="utf-8")
    if (without := without_flights(project)) != project:
        texts["pyproject.toml"] = without
    change = Change()
    for path, text in texts.items():
        ready = folder / path.replace("/", "_")
        ready.write_text(text, encoding="utf-8")
        change.write[path] = ready
    if "pyproject.toml" in change.write:  # its dependencies are as they were: make has no environment to make anew
        shutil.copystat(home / "pyproject.toml", change.write["pyproject.toml"])
    change.write |= {f"data/{file.name}": file for file in files.values()}
    if rejected:
        change.write["data/rejected.csv"] = rejected
    used = {month: file for month, file in files.items() if month >= plan.split.first_month}
    for file in write_sample(used, folder / "sample", plan.readings.recipe.target):
        change.write[f"tests/sample/{file.name}"] = file
    return change
