"""The answers that a person has given by options, or gives at the terminal."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console

from modelworks.adopt import formats
from modelworks.calendar import Frequency
from modelworks.errors import MissingAnswerError

NO_GROUP = "none"
Ask = Callable[[str, list[str], str], str]
"""A question, its answers (the proposed one first) and the option of the command that answers it."""


@dataclass(frozen=True)
class Choices:
    """The options of the command; names are those of the file's columns.

    Attributes
    ----------
    time : one column, or its parts in order: year, month, day, hour, minute; or a date and a time of day
    no_time : the rows have no time, whatever looks like one
    group : a column; NO_GROUP for none, whatever looks like one
    outcomes : columns known only after the event
    features : columns that stay features although they look like leaks or ids
    texts : columns that are categories although they look like numbers or dates
    null_words : texts that mean "no value", in place of the usual ones
    yes : accept every proposed answer
    force : overwrite files with uncommitted changes
    period : what a period is; None: by the times of rows
    """

    target: str
    time: list[str] = field(default_factory=list)
    key: list[str] = field(default_factory=list)
    group: str = ""
    outcomes: list[str] = field(default_factory=list)
    features: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    task: str = "auto"
    yes: bool = False
    force: bool = False
    period: Frequency | None = None
    no_time: bool = False
    null_words: list[str] = field(default_factory=lambda: formats.NULLS)

    @property
    def named(self) -> list[tuple[str, str]]:
        """Every column that is named, with its option."""
        lists = {"--time": self.time, "--key": self.key, "--outcome": self.outcomes}
        lists |= {"--feature": self.features, "--text": self.texts}
        given = [("--target", self.target), *([("--group", self.group)] if self.group not in {"", NO_GROUP} else [])]
        return given + [(option, name) for option, names in lists.items() for name in names]


def ask(console: Console, choices: Choices, question: str, options: list[str], option: str) -> str:
    """One of the `options`; the first is proposed.

    Parameters
    ----------
    option : of the command, which answers the question in advance

    Raises
    ------
    MissingAnswerError
        If there is no terminal to ask on, and `--yes` was not given.
    """
    if choices.yes:
        return options[0]
    if not sys.stdin.isatty():
        by_option = f"answer by {option}, or " if option != "--yes" else ""
        raise MissingAnswerError(
            f"{question} ({' or '.join(options)}) There is no terminal to ask on: {by_option}take {options[0]!r} "
            "by --yes; nothing is written"
        )
    while True:
        console.print(f"[yellow]?[/] {question} [bold]{options[0]}[/] (Enter), or {', '.join(options[1:])}: ", end="")
        typed = input().strip()
        if typed in {"", *options}:
            return typed or options[0]
