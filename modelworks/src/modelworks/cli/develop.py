"""Commands that try a change of the data, show changes of the engine, or audit what the project stands on."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from modelworks.cli.options import load, open_console
from modelworks.errors import ConfigError
from modelworks.settings import find_home, name_safely

app = typer.Typer()
command = partial(app.command, rich_help_panel="Develop")


@command("simulate-drift")
def simulate_drift(
    period: Annotated[str, typer.Argument(help="Period that arrives changed.")],
    column: Annotated[str, typer.Option(help="Of the contract; the target, to change the labels.")],
    shift: Annotated[float | None, typer.Option(help="Add it.")] = None,
    scale: Annotated[float | None, typer.Option(help="Multiply by it.")] = None,
    constant: Annotated[float | None, typer.Option(help="Set all values to it.")] = None,
    nulls: Annotated[float | None, typer.Option(help="Empty this share of the rows.")] = None,
    shuffle: Annotated[float | None, typer.Option(help="Shuffle this share of the rows among themselves.")] = None,
    flip: Annotated[float | None, typer.Option(help="Invert this share of the labels.")] = None,
    policy: Annotated[str, typer.Option(help="As for `backtest`.")] = "configured",
) -> None:
    """Change a period in a sandbox, and show which alarms it raises and what follows."""
    from modelworks.backtest import run
    from modelworks.backtest.perturbation import Perturbation
    from modelworks.backtest.printing import print_periods

    kinds = {"shift": shift, "scale": scale, "constant": constant, "nulls": nulls, "shuffle": shuffle, "flip": flip}
    given = [(kind, amount) for kind, amount in kinds.items() if amount is not None]
    if len(given) != 1:
        raise ConfigError(f"one change is wanted, by one of --{', --'.join(kinds)}")
    (project, settings), console = load(), open_console()
    change = Perturbation(period, column, given[0][0], given[0][1])  # type: ignore[arg-type]
    print_periods(project, console, run.simulate(project, settings, console, change, policy))


@command("engine-status")
def engine_status() -> None:
    """Name the files of vendor/modelworks that differ from the template's; a change is a warning, not a failure."""
    from modelworks.supply_chain.engine import describe_changes

    print(describe_changes(find_home()))


@app.command(rich_help_panel="Supply chain")
def audit(
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="vulnerabilities, licences, secrets or sbom; may be repeated.", metavar="CHECK", show_default="all"
        ),
    ] = None,
    db: Annotated[
        Path | None, typer.Option(help="Copy of the OSV database, a folder or a zip, in place of the network.")
    ] = None,
) -> None:
    """Look up known vulnerabilities, check licences, search for secrets, and write the bill of materials.

    Exit status 1: a check failed; 2: one could not be made, such as without a network.
    """
    from modelworks.supply_chain.check import check

    raise typer.Exit(check(name_safely(find_home()), only or [], db))
