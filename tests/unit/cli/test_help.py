from collections.abc import Iterator
from typing import Any

import typer
from typer.testing import CliRunner

from modelworks.cli.app import app


def all_commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each command below a group, with the words that call it."""
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            yield from all_commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_help_shows_tables_of_settings_as_they_are_written() -> None:
    """Rich would take `[tuning]` for markup, and show nothing in its place."""
    commands = dict(all_commands(typer.main.get_command(app)))
    assert len(commands) > 40
    for words in (("environments",), ("step", "tune"), ("rollout", "start")):
        assert words in commands
    for words, command in commands.items():
        tables = {text.partition("]")[0] for text in (command.help or "").split("[")[1:]}
        shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"}).output
        assert [table for table in tables if f"[{table}]" not in shown] == [], words
