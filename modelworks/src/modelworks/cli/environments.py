"""The option `--env` of every command, and the command that shows environments and what they require."""

import os
from functools import lru_cache
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from modelworks.cli.options import AsJson, load, print_json
from modelworks.settings import ENVIRONMENT_VARIABLE, list_environments

app = typer.Typer()


def _choose(name: str | None) -> None:
    if name is not None:  # before settings are loaded, here and in every process that this one starts
        os.environ[ENVIRONMENT_VARIABLE] = name


Environment = Annotated[
    str | None,
    typer.Option(
        "--env",
        metavar="NAME",
        callback=_choose,
        expose_value=False,
        is_eager=True,
        help='A file of environments/, which lies on top of pipeline.toml; "": none.',
        show_default=ENVIRONMENT_VARIABLE,
    ),
]


class WithEnvironment(TyperGroup):
    """A group whose commands all have the option."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name."""
        command = super().get_command(ctx, cmd_name)
        if command and not isinstance(command, TyperGroup) and _option() not in command.params:
            command.params.append(_option())
        return command


@lru_cache
def _option() -> Any:
    alone = typer.Typer(add_completion=False)

    @alone.command()
    def command(environment: Environment = None) -> None: ...

    return typer.main.get_command(alone).params[0]


@app.command(rich_help_panel="Inspect")
def environments(as_json: AsJson = False) -> None:
    r"""Show the environments, which one is chosen, and each check of \[policy]: whether it is required and met."""
    from modelworks.registry.policy import judge_code, judge_settings
    from modelworks.reporting.console import new_console
    from modelworks.state.printing import print_policy

    _, settings = load()
    known = list_environments(settings.home)
    checks = [*judge_settings(settings), judge_code(settings)]
    if as_json:
        shown = [
            {"name": each.name, "required": each.fatal, "passed": each.passed, "detail": each.detail} for each in checks
        ]
        print_json({"environments": known, "chosen": settings.environment, "checks": shown})
    else:
        print_policy(new_console(), known, settings.environment, checks)
