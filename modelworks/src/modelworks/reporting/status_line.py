"""The line that a reader should see first."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["good", "waiting", "warning", "bad"]

SYMBOLS: dict[Level, str] = {"good": "✓", "waiting": "?", "warning": "!", "bad": "✗"}
"""Beside the word, so that nobody has to distinguish the colours."""


@dataclass(frozen=True)
class StatusLine:
    """A word with its symbol and colour, the reason, and what to do next.

    Attributes
    ----------
    notes : further findings, the most urgent first
    """

    level: Level
    word: str
    reason: str
    action: str = ""
    notes: tuple[str, ...] = ()
