"""Read settings from pipeline.toml, `.env` and the environment."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dotenv import load_dotenv
from pydantic import ValidationError
from pydantic_settings import SettingsError

from modelworks.errors import ConfigError
from modelworks.settings.environments import environment_file, find_environment, name_in_logs, read_toml
from modelworks.settings.explanations import explain, explain_list, refuse_unknown_variables
from modelworks.settings.home import name_safely
from modelworks.settings.settings import ENV_PREFIX, Settings

HOME_VARIABLE = f"{ENV_PREFIX}HOME"
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"

Overrides = Mapping[str, Mapping[str, Any]]
"""Values by section and key."""


def find_home() -> Path:
    """The project's folder: `MODELWORKS_HOME`, else the nearest one above the working folder with a `pipeline.toml`.

    Raises
    ------
    ConfigError
        If there is none.
    """
    named = os.environ.get(HOME_VARIABLE)
    here = Path(named).expanduser().resolve() if named else Path.cwd()
    for folder in [here] if named else [here, *here.parents]:
        if (folder / "pipeline.toml").is_file():
            return folder
    where = f"in {here}" if named else f"in {here} or above it"
    raise ConfigError(f"no pipeline.toml {where}; change to the project's folder, or set {HOME_VARIABLE} to it")


def check_working_folder() -> None:
    """Refuse to work on one project from within another: `MODELWORKS_HOME` may be left over from a former shell.

    Raises
    ------
    ConfigError
        If the working folder belongs to another project than the one that the variable names.
    """
    named = os.environ.get(HOME_VARIABLE)
    around = next((each for each in [Path.cwd(), *Path.cwd().parents] if (each / "pipeline.toml").is_file()), None)
    if named and around and around.resolve() != Path(named).expanduser().resolve():
        raise ConfigError(
            f"{HOME_VARIABLE} is {named}, and this folder belongs to the project in {around}; "
            f"`unset {HOME_VARIABLE}`, or change to that folder"
        )


def load_settings(home: Path | None = None, overrides: Overrides | None = None) -> Settings:
    """Read and check all settings.

    The order of precedence: `overrides`; `MLFLOW_TRACKING_URI`, for `[tracking] uri`; variables of the shell; `.env`;
    the file of the environment that `MODELWORKS_ENV` names, in the shell or in `.env`; pipeline.toml.

    Parameters
    ----------
    home : the project's folder; by default that of `find_home`, by its safe name
    overrides : by section and key, such as `{"tracking": {"uri": ""}}`

    Raises
    ------
    ConfigError
        If a key, type or value is wrong; names the key, its value and what is allowed. Also if there is no such
        environment.
    """
    home = home or name_safely(find_home())
    # Into the environment, since MLflow and fsspec read theirs there; a variable that is set already stays.
    load_dotenv(home / ".env", override=False)
    refuse_unknown_variables()
    if environment := find_environment(home):
        name_in_logs()
    given = {section: dict(values) for section, values in (overrides or {}).items()}
    values: dict[str, Any] = dict(given)
    if uri := os.environ.get(TRACKING_VARIABLE):
        values["tracking"] = {"uri": uri, **given.get("tracking", {})}
    try:
        return _hand_over_login(Settings(home=home, name=read_name(home), environment=environment, **values))
    except ValidationError as error:
        own = read_toml(environment_file(home, environment)) if environment else {}
        files = f"environments/{environment}.toml" if own else "", own
        raise ConfigError("\n".join(explain(detail, given, *files) for detail in error.errors())) from None
    except SettingsError as error:
        raise ConfigError(explain_list(error)) from None


def _hand_over_login(settings: Settings) -> Settings:
    """The settings with an address of MLflow's server that has no user and password; MLflow gets them by its variables.

    With its address MLflow fills errors, links and records, which end in logs, pages and databases.
    """
    try:
        parts = urlsplit(settings.tracking.uri)
    except ValueError:  # of brackets that do not match; MLflow says that it cannot reach it
        return settings
    if parts.scheme not in {"http", "https"} or parts.username is None:
        return settings
    os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(parts.username)
    os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password or "")
    address = settings.tracking_address
    if TRACKING_VARIABLE in os.environ:
        os.environ[TRACKING_VARIABLE] = address
    return settings.model_copy(update={"tracking": settings.tracking.model_copy(update={"uri": address})})


def read_name(home: Path) -> str:
    """The project's name, by its pyproject.toml, or else its folder.

    Raises
    ------
    ConfigError
        If the pyproject.toml is not valid TOML, or has no `[project] name`.
    """
    file = home / "pyproject.toml"
    if not file.is_file():
        return home.name
    try:
        return str(tomllib.loads(file.read_text(encoding="utf-8-sig"))["project"]["name"])
    except (KeyError, TypeError):
        raise ConfigError(f"{file}: no [project] name") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from None
