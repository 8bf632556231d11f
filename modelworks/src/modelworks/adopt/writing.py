"""The files that an adopted table leads to, and putting them in their places."""

import json
import re
import shutil
import signal
import sys
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from modelworks.adopt import project_files, recipe
from modelworks.adopt.contract_source import contract_source, format_source
from modelworks.adopt.conversion import PeriodFiles
from modelworks.adopt.plan import Plan
from modelworks.calendar import ANY_PATTERN
from modelworks.models.types import tfidf

SAMPLE_PERIODS, SAMPLE_ROWS = 3, 2000
MAX_CLASSES, ROWS_OF_CLASS = 100, 10

README = """\
# {name}

{origin}

{table}

`import.toml` says how files as they arrive become these; `{command} import FILE` does it. The prediction API reads rows
that are written as in such a file.
{rejected}"""


@dataclass(frozen=True)
class Change:
    """The change of a project; paths are relative to its folder.

    Attributes
    ----------
    write : new files, by the path of the finished file that takes their place
    remove : files and folders
    """

    write: Mapping[str, Path] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)


def make_change(
    home: Path, folder: Path, plan: Plan, files: PeriodFiles, pipeline: str, origin: str, name: str
) -> Change:
    """Write every file into a folder of its own, ready to be put in its place.

    Parameters
    ----------
    pipeline : the text of pipeline.toml
    origin : of the data, in a sentence
    name : of the data
    """
    package = project_files.find_package(home).relative_to(home)
    of_texts = {str(package / "models.py"): project_files.plain_form("models_of_texts.py")}
    texts = {
        str(package / "contract.py"): contract_source(plan.contract, origin),
        **project_files.reset_files(home, plan.contract),
        **(of_texts if plan.trial.model_type == tfidf.NAME else {}),
        "pipeline.toml": pipeline,
        "data/README.md": _readme(plan, origin, name, files.rejected_rows),
        "data/import.toml": recipe.dump(plan.recipe),
    }
    write: dict[str, Path] = {}
    for path, text in texts.items():
        # On the disk that it belongs to: data/ may be on another than the project.
        write[path] = (files.folder if path.startswith("data/") else folder) / path.replace("/", "_")
        whole = format_source(text, home / path, home) if path.endswith(".py") else text
        write[path].write_text(whole, encoding="utf-8")
    write |= {f"data/{file.name}": file for file in files.files.values()}
    if files.rejected_rows:
        write["data/rejected.csv"] = files.rejected
    used = {period: file for period, file in files.files.items() if plan.split.first <= period <= plan.split.last}
    sample = write_sample(used, folder / "sample", plan.recipe.target)
    return Change(write | {f"tests/sample/{file.name}": file for file in sample}, find_removals(home))


def _readme(plan: Plan, origin: str, name: str, rejected: int) -> str:
    """data/README.md."""
    rows = [f"| `{column.name}` | {column.role} | {column.dtype} | {column.description} |" for column in plan.columns]
    table = "\n".join(["| column | role | type | meaning |", "| --- | --- | --- | --- |", *rows])
    note = f"\n`rejected.csv` has the {rejected:,} rows that could not be read, and why.\n" if rejected else ""
    return README.format(name=name, origin=origin, table=table, command=Path(sys.argv[0]).name, rejected=note)


def write_sample(files: Mapping[str, Path], folder: Path, target: str) -> list[Path]:
    """Some rows of the newest periods for the tests, of every class if there are classes; below `folder`."""
    folder.mkdir()
    made = []
    for period in sorted(files)[-SAMPLE_PERIODS:]:
        table = pq.read_table(files[period])
        frame = table.select([target]).to_pandas()
        step = -(-len(frame) // SAMPLE_ROWS)
        wanted = set(range(0, len(frame), step))
        if frame[target].nunique() <= MAX_CLASSES:
            for _, rows in frame.groupby(target):
                wanted |= set(rows.index[:ROWS_OF_CLASS])
        made.append(folder / files[period].name)
        pq.write_table(table.take(sorted(wanted)), made[-1], compression="zstd")
    return made


def find_removals(home: Path) -> list[str]:
    """Files of the data that the project has had so far, and the sample of its tests."""
    sample = ["tests/sample"] if (home / "tests" / "sample").is_dir() else []
    pattern = data_pattern(read_pipeline(home))
    if not pattern:
        return sample
    names = [file.name for file in sorted((home / "data").glob("*"))]
    found = [name for name in names if re.fullmatch(pattern, name) or name in {"rejected.csv", "import.toml"}]
    with suppress(OSError, ValueError):
        listed = json.loads((home / "data" / "MANIFEST.json").read_text(encoding="utf-8"))
        if all(re.fullmatch(pattern, name) for name in listed):
            found.append("MANIFEST.json")
    return [*(f"data/{name}" for name in found), *sample]


def read_pipeline(home: Path) -> dict[str, Any]:
    """pipeline.toml as it is."""
    return tomllib.loads((home / "pipeline.toml").read_text(encoding="utf-8-sig"))


def data_pattern(pipeline: Mapping[str, Any]) -> str:
    """A regular expression of the names of the source's files in data/; "" where they are elsewhere."""
    uri = pipeline.get("source", {}).get("uri", "")
    if not uri.startswith("data/"):
        return ""
    return re.escape(Path(uri).name).replace(r"\{period\}", f"(?:{ANY_PATTERN})")


def apply(home: Path, change: Change) -> None:
    """Put the finished files in their places, and then remove; a file is replaced in one step.

    Ctrl-C waits for the end: half of a change would fit neither the former table nor the new one.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _apply(home, change)
    finally:
        signal.signal(signal.SIGINT, before)


def _apply(home: Path, change: Change) -> None:
    for path in change.remove:
        if (home / path).is_dir():
            shutil.rmtree(home / path)
    for path, ready in change.write.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        ready.replace(home / path)
    for path in change.remove:
        if path not in change.write and (home / path).is_file():
            (home / path).unlink()
