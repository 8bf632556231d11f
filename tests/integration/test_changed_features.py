"""features.py is edited between releases: what champion, rollback and the next run make of it."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from flights import FLIGHTS
from modelworks import stages
from modelworks.errors import ContractError, QualityGateError, ReleaseError
from modelworks.project import Project
from modelworks.registry.tracker import Tracker
from modelworks.settings import ENV_PREFIX, load_settings
from modelworks.stages.common import newest_clean
from releases import evaluate_flights, release_flights

ORIGINAL = FLIGHTS.features
assert ORIGINAL


def with_backlog(flights: pd.DataFrame) -> pd.DataFrame:
    return ORIGINAL(flights).assign(backlog=flights["recent_delay"] * flights["recent_departures"])


def other_wind(flights: pd.DataFrame) -> pd.DataFrame:
    return ORIGINAL(flights).assign(north_wind=flights["wind_speed"])


def edited(function: Callable[[pd.DataFrame], pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> Project:
    """The flights once features.py has this function in place of its own."""
    module, name = ORIGINAL.__module__, ORIGINAL.__name__
    monkeypatch.setattr(function, "__module__", module)
    monkeypatch.setattr(function, "__name__", name)
    monkeypatch.setattr(sys.modules[module], name, function)
    return replace(FLIGHTS, features=function)


def derived_of(version: str) -> list[str]:
    """The derived columns that a version uses."""
    tracker = Tracker(FLIGHTS, load_settings())
    return [*tracker.models.load(tracker.versions.get(version).model_uri)[0].kinds_]


def test_feature_is_added_and_the_way_back_stays_open(released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = edited(with_backlog, monkeypatch)
    assert release_flights("third", project=project) == "3"
    assert (derived_of("2"), derived_of("3")) == (["north_wind", "frost"], ["north_wind", "frost", "backlog"])
    settings = load_settings()
    assert stages.rollback(project, settings, "2").version == "2"
    assert stages.score(project, settings, newest_clean(settings).period).rows
    assert stages.rollback(project, settings, "3").version == "3"


def test_feature_is_removed_once_no_model_uses_it(released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = edited(with_backlog, monkeypatch)
    release_flights("third", project=project)
    monkeypatch.setattr(sys.modules[ORIGINAL.__module__], ORIGINAL.__name__, ORIGINAL)
    refusal = "add_features does not add column 'backlog', which the model was trained with; let the function add it"
    with pytest.raises(QualityGateError, match=f"the champion, version 3, cannot be compared with: .*{refusal}"):
        evaluate_flights("too early")
    with pytest.raises(ContractError, match=refusal):
        stages.score(FLIGHTS, load_settings(), newest_clean(load_settings()).period)
    assert stages.rollback(FLIGHTS, load_settings(), "2").version == "2"

    project = edited(with_backlog, monkeypatch)
    stages.rollback(project, load_settings(), "3")
    names = [*FLIGHTS.contract.features, "north_wind", "frost"]
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__FEATURES", str(names).replace("'", '"'))
    assert release_flights("without", project=project) == "4"
    monkeypatch.setattr(sys.modules[ORIGINAL.__module__], ORIGINAL.__name__, ORIGINAL)
    monkeypatch.delenv(f"{ENV_PREFIX}TRAINING__FEATURES")
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__PARAMETERS__MAX_ITER", "50")
    assert release_flights("removed") == "5"


def test_feature_that_is_changed_in_place_is_noticed(released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = edited(other_wind, monkeypatch)
    hint = "a derived column that was changed in place has other values than the model was trained with: keep it"
    with pytest.raises(QualityGateError, match=rf"the champion, version 2, cannot be compared with: .*{hint}"):
        evaluate_flights("changed", project=project)
    with pytest.raises(ReleaseError, match=f"version 1: loaded from the registry it predicts differently.*{hint}"):
        stages.rollback(project, load_settings(), "1")


def test_project_without_its_function_names_the_way_out(released: Path) -> None:
    with pytest.raises(QualityGateError, match=r"a feature function stays `features` of project.py as long as a model"):
        evaluate_flights("plain", project=replace(FLIGHTS, features=None))
