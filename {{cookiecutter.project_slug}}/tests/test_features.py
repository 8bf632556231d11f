"""Derived columns: values worked out by hand, and the same for a row alone as among others."""

from collections.abc import Callable

import pandas as pd
import pytest
from modelworks import Project, load_project

from conftest import HOME, Sample

add_features = load_project(HOME).features


def test_north_wind_is_the_component_from_the_north(rows_of: Callable[..., pd.DataFrame]) -> None:
    winds = rows_of(wind_speed=[20.0, 20.0, 20.0, 20.0, None], wind_dir=[0.0, 180.0, 90.0, 60.0, 0.0])
    assert add_features(winds)["north_wind"].tolist() == pytest.approx([20, -20, 0, 10, float("nan")], nan_ok=True)


def test_frost_is_degrees_below_freezing_while_it_is_wet(rows_of: Callable[..., pd.DataFrame]) -> None:
    flights = rows_of(temp=[22.0, 22.0, 22.0, 40.0], precip=[0.1, 0.0, 0.0, 0.1], visibility=[10.0, 10.0, 2.0, 2.0])
    assert add_features(flights)["frost"].tolist() == [10, 0, 10, 0]


def test_a_row_has_the_same_features_alone_as_among_others(project: Project, sample: Sample) -> None:
    rows = next(iter(sample.values()))[project.contract.features].head(20)
    one_by_one = pd.concat([add_features(rows.iloc[[at]]) for at in range(len(rows))])
    pd.testing.assert_frame_equal(add_features(rows), one_by_one)
