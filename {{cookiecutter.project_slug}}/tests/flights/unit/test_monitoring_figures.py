import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from {{ cookiecutter.__package_name }}.drift import Binning, ColumnDrift, Counted, Profile
from {{ cookiecutter.__package_name }}.intervals import Estimate
from {{ cookiecutter.__package_name }}.monitoring import MonthPerformance
from {{ cookiecutter.__package_name }}.monitoring_figures import (
    draw_blocks,
    draw_distribution,
    draw_months,
    draw_ratios,
    place_months,
    to_label,
)
from {{ cookiecutter.__package_name }}.pages import to_png
from {{ cookiecutter.__package_name }}.performance import BlockPerformance, Performance

BINNING = Binning(edges={"temp": [20.0, 40.0]}, categories={"carrier": ["AA", "$\\frac{$"]})


def profile(temp: list[int], carrier: list[int]) -> Profile:
    return Profile(["2013-05-01"], {"temp": np.array([temp]), "carrier": np.array([carrier])}, [])


COUNTED = Counted(BINNING, profile([2, 4, 2, 0], [5, 4, 1, 0]), profile([1, 0, 2, 1], [3, 0, 0, 1]))


def measured(month: str, version: str, loss: float, decay: float | None, *, is_alarm: bool = False) -> MonthPerformance:
    figures = Performance(
        rows=100,
        blocks=30,
        observed=0.25,
        expected=0.2,
        loss=Estimate(loss, loss - 0.1, loss + 0.2),
        skill=Estimate(-0.05, -0.1, 0.0),
        gain=Estimate(0.01, 0.0, 0.02),
        decay=None if decay is None else Estimate(decay, decay - 0.01, decay + 0.01),
    )
    return MonthPerformance(month, version, "sha", 100, 0, figures, is_alarm, "")


def unmeasured(month: str) -> MonthPerformance:
    return MonthPerformance(month, "1", "sha", 0, 100, None, None, "no row has a label")


def labels_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[-1].get_yticklabels()]


def test_days_show_means_of_their_rows() -> None:
    found = BlockPerformance(["2013-05-02", "2013-05-04"], [10, 30], [2, 3], [1.0, 6.0], [5.0, 21.0], [0.1, 0.1], 0.5)
    upper, lower = draw_blocks("2013-05", found).axes
    of_day, of_month = upper.lines
    assert of_day.get_xydata().tolist() == [[2, 0.5], [4, 0.7]]
    assert of_month.get_ydata()[0] == pytest.approx(26 / 40)
    observed, predicted = lower.lines
    assert observed.get_ydata().tolist() == [0.2, 0.1]
    assert predicted.get_ydata().tolist() == [0.1, 0.2]


def test_months_keep_their_place_where_one_was_not_measured() -> None:
    performance = [
        measured("2013-04", "1", 0.5, 0.0),
        unmeasured("2013-05"),
        measured("2013-07", "2", 0.6, 0.05, is_alarm=True),
    ]
    upper, lower = draw_months({each.month: each for each in performance}, 0.01).axes
    served, without_alarm, alarmed = (each.lines[0] for axes in (upper, lower) for each in axes.containers)
    assert served.get_xydata().tolist() == [[0, 0.5], [3, 0.6]]
    assert without_alarm.get_xydata().tolist() == [[0, 0.0]]
    assert alarmed.get_xydata().tolist() == [[3, 0.05]]
    assert [text.get_text() for text in upper.texts] == ["v1", "v2"]
    assert [text.get_position()[0] for text in upper.texts] == [0, 3]
    share = next(line for line in upper.lines if line.get_label() == "best single prediction")
    assert share.get_ydata() == pytest.approx([0.55, 0.65])
    limit = next(line for line in lower.lines if line.get_linestyle() == ":")
    assert list(limit.get_ydata()) == [0.01, 0.01]


def test_months_whose_decay_is_unknown_still_show_their_loss() -> None:
    upper, lower = draw_months({"2013-05": measured("2013-05", "1", 0.5, None)}, 0.0).axes
    assert len(upper.containers) == 1
    assert not lower.containers


def test_only_the_last_year_of_months_is_shown() -> None:
    months = [f"{month:%Y-%m}" for month in pd.date_range("2011-01-01", periods=30, freq="MS")]
    upper, _ = draw_months({month: measured(month, "1", 0.5, 0.0) for month in months}, 0.0).axes
    assert upper.containers[0].lines[0].get_xdata().tolist() == list(range(13))


def test_ratios_mark_what_drifted_and_start_with_the_most_drifted() -> None:
    (axes,) = draw_ratios([ColumnDrift("temp", 0.3, 0.1), ColumnDrift("carrier", 0.05, 0.1)]).axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([3.0, 0.5])
    assert axes.patches[0].get_facecolor() != axes.patches[1].get_facecolor()
    assert labels_of(axes.figure) == ["temp", "carrier"]
    assert axes.yaxis_inverted()
    assert axes.get_xlim()[1] > 3


def test_ratios_of_very_many_columns_show_the_most_drifted() -> None:
    figure = draw_ratios([ColumnDrift(f"column_{at}", 1 / (1 + at), 0.1) for at in range(40)])
    assert len(figure.axes[0].patches) == 30
    assert figure.get_suptitle() == "The 30 most drifted of 40"


def test_distribution_compares_the_shares_of_each_bin() -> None:
    figure = draw_distribution(COUNTED, ColumnDrift("temp", 0.3, 0.1))
    reference, month = figure.axes[0].containers
    assert [bar.get_width() for bar in reference] == [0.25, 0.5, 0.25, 0.0]
    assert [bar.get_width() for bar in month] == [0.25, 0.0, 0.5, 0.25]
    assert labels_of(figure) == ["below 20", "20 to 40", "40 and more", "no value"]
    assert figure.get_suptitle() == "temp, F"


def test_distribution_leaves_out_bins_that_nobody_is_in_and_draws_any_name() -> None:
    counted = Counted(BINNING, profile([1, 0, 0, 0], [5, 4, 0, 0]), profile([1, 0, 0, 0], [3, 1, 0, 0]))
    figure = draw_distribution(counted, ColumnDrift("carrier", 0.3, 0.1))
    assert labels_of(figure) == ["AA", "\\$\\frac{\\$"]
    assert to_png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("edges", "labels"),
    [
        ([], ["any", "no value"]),
        ([0.0], ["below 0", "0 and more", "no value"]),
        ([187.0, 1069.0], ["below 187", "187 to 1069", "1069 and more", "no value"]),
        ([1012.83, 1012.94], ["below 1012.8", "1012.8 to 1012.9", "1012.9 and more", "no value"]),
        ([0.15234, 0.2], ["below 0.152", "0.152 to 0.2", "0.2 and more", "no value"]),
    ],
)
def test_bins_are_named_with_as_few_digits_as_tell_them_apart(edges: list[float], labels: list[str]) -> None:
    assert Binning({"x": edges}, {}).labels("x") == labels


def test_months_on_an_axis_name_the_year_once() -> None:
    axes = Figure().subplots()
    place_months(axes, ["2012-12", "2013-01", "2013-02"])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["Dec\n2012", "Jan\n2013", "Feb"]


def test_labels_are_short_and_on_one_line() -> None:
    assert to_label("a\nb") == "a b"
    assert to_label("x" * 21) == "x" * 19 + "…"
