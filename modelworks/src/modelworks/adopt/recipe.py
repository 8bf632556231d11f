"""How the project's files are made from the files that arrive; kept in data/import.toml for later ones."""

import json
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modelworks.adopt import formats
from modelworks.adopt.reading import Layout
from modelworks.calendar import Frequency
from modelworks.errors import AdoptionError

HEADER = """\
# How `import` makes the project's files from the files that arrive, and how the prediction API reads a row that is
# written as in these; `adopt` has written it, and it is yours.
# A column has its name here, its columns in the file (several are the parts of one time), a dtype of contract.py,
# and how its numbers or dates are written: 1.5 is "point" and 1,5 is "comma"; "d.m.Y" is 31.12.2013. `null_words` are
# the texts that mean "no value".
"""


@dataclass(frozen=True)
class ColumnRecipe:
    """A column of the contract.

    Attributes
    ----------
    sources : columns of the file; several are the parts of a time, or a date and a time of day
    dtype : int64, float64, str or datetime64[us]
    formats : see `formats`; of text none, of numbers one
    unit : of numbers, as it stands in the file
    """

    name: str
    sources: list[str]
    dtype: str
    formats: list[str]
    unit: str = ""


@dataclass(frozen=True)
class Recipe:
    """A whole file.

    Attributes
    ----------
    target : a column
    time : a column; "" where a file is a period by its delivery
    row_number : a column that is added, or ""
    null_words : texts that mean "no value" in any column
    key : columns that identify a row
    period : what a period is; kept as [source] period of pipeline.toml, not here
    """

    layout: Layout
    columns: list[ColumnRecipe]
    target: str
    time: str = ""
    row_number: str = ""
    key: list[str] = field(default_factory=list)
    period: Frequency = "month"
    null_words: list[str] = field(default_factory=lambda: formats.NULLS)

    @property
    def row_key(self) -> list[str]:
        """Columns of the file that identify a row; empty where only its number does."""
        return [] if self.row_number in self.key else self.key

    def find(self, name: str) -> ColumnRecipe:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)


def dump(recipe: Recipe) -> str:
    """A recipe as TOML."""
    whole = {"target": recipe.target, "time": recipe.time, "row_number": recipe.row_number, "key": recipe.key}
    lines = [HEADER, *_lines(whole | {"null_words": recipe.null_words})]
    lines += ["", "[layout]", *_lines(asdict(recipe.layout))]
    for column in recipe.columns:
        lines += ["", "[[columns]]", *_lines(asdict(column))]
    return "\n".join(lines) + "\n"


def _lines(values: dict[str, Any]) -> list[str]:
    # A text or a list of texts is written in JSON as it is in TOML.
    return [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]


def load(path: Path) -> Recipe:
    """The recipe that `adopt` has written.

    Raises
    ------
    AdoptionError
        If there is none, or somebody has broken it.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        columns = [ColumnRecipe(**column) for column in content.pop("columns")]
        return Recipe(Layout(**content.pop("layout")), columns, **content)
    except FileNotFoundError:
        raise AdoptionError(f"{path}: no such file; it is `adopt` that writes it") from None
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise AdoptionError(f"{path}: no recipe: {error}; git has the one that `adopt` wrote") from None
