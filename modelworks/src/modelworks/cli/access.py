"""Commands about the keys of the prediction API."""

import sys
from typing import Annotated

import typer

from modelworks.access.api_keys import SCOPES, ApiKey, add_key, keys_file, now, read_keys, remove_key
from modelworks.cli.environments import WithEnvironment
from modelworks.cli.options import AsJson, print_json
from modelworks.settings import load_settings

app = typer.Typer(cls=WithEnvironment, no_args_is_help=True, help="Add, list and remove keys of the prediction API.")

Name = Annotated[str, typer.Argument(help="Of whoever uses the key, such as a service.")]


@app.command()
def add(
    name: Name,
    scopes: Annotated[str, typer.Option(help=f"Out of {', '.join(SCOPES)}, with commas between.")] = "predict",
    expires_days: Annotated[float | None, typer.Option(help="Days for which it is valid.", min=0)] = None,
    as_json: AsJson = False,
) -> None:
    """Draw a key and print it, this once: the file holds its hash only."""
    file = keys_file(load_settings())
    key = add_key(file, name, [each.strip() for each in scopes.split(",")], expires_days, now())
    if as_json:
        [made] = [each for each in read_keys(file) if each.name == name]
        print_json({"key": key, **_describe(made)})
        return
    print(key)
    print(f"kept as a hash in {file}; the key itself is shown this once", file=sys.stderr)


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys by name: scopes, when they were made, and when they expire."""
    file = keys_file(load_settings())
    keys = read_keys(file) if file.exists() else []
    if as_json:
        print_json([_describe(each) for each in keys])
        return
    for each in keys:
        ends = f"until {each.expires:%Y-%m-%d %H:%M}" if each.expires else "no end"
        state = "  (expired)" if each.is_expired(now()) else ""
        print(f"{each.name:<20}  {', '.join(each.scopes):<22}  {each.created:%Y-%m-%d %H:%M}  {ends}{state}")
    if not keys:
        print(f"no keys in {file}; `api-keys add NAME --scopes predict` makes one", file=sys.stderr)


@app.command()
def remove(name: Name) -> None:
    """Remove a key; the API refuses it from the next second on."""
    file = keys_file(load_settings())
    remove_key(file, name)
    if not read_keys(file):
        print(f"{file} has no key any more, so the API lets nobody in", file=sys.stderr)


def _describe(key: ApiKey) -> dict[str, object]:
    return key.model_dump(mode="json", exclude={"sha256"}) | {"expired": key.is_expired(now())}
