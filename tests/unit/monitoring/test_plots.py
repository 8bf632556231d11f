import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from flights import FLIGHTS
from modelworks.evaluation.bootstrap import Estimate
from modelworks.monitoring.calibration import BlockPerformance, Performance
from modelworks.monitoring.drift import Binning, ColumnDrift, Counted, Profile
from modelworks.monitoring.plots import (
    draw_blocks,
    draw_distribution,
    draw_drift,
    draw_histories,
    draw_periods,
    draw_ratios,
    draw_skill,
    drift_by_column,
)
from modelworks.monitoring.records import PeriodPerformance, Record
from modelworks.reporting.axes import BLUE, RED, place_periods, to_label
from modelworks.reporting.html import to_png

BINNING = Binning(edges={"temp": [20.0, 40.0]}, categories={"carrier": ["AA", "$\\frac{$"]})


def profile(temp: list[int], carrier: list[int]) -> Profile:
    return Profile(["2013-05-01"], {"temp": np.array([temp]), "carrier": np.array([carrier])}, [])


COUNTED = Counted(BINNING, profile([2, 4, 2, 0], [5, 4, 1, 0]), profile([1, 0, 2, 1], [3, 0, 0, 1]))


def measured(
    period: str, version: str, loss: float, calibration_drift: float | None, *, is_alarm: bool = False
) -> PeriodPerformance:
    interval = None
    if calibration_drift is not None:
        interval = Estimate(calibration_drift, calibration_drift - 0.01, calibration_drift + 0.01)
    figures = Performance(
        rows=100,
        blocks=30,
        observed=0.25,
        expected=0.2,
        loss=Estimate(loss, loss - 0.1, loss + 0.2),
        skill=Estimate(0.05, 0.0, 0.1),
        gain=Estimate(0.01, 0.0, 0.02),
        calibration_drift=interval,
    )
    return PeriodPerformance(period, version, "sha", 100, 0, figures, is_alarm, "")


def unmeasured(period: str) -> PeriodPerformance:
    return PeriodPerformance(period, "1", "sha", 0, 100, None, None, "no row has a label")


def labels_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[-1].get_yticklabels()]


def test_days_show_means_of_their_rows() -> None:
    found = BlockPerformance(["2013-05-02", "2013-05-04"], [10, 30], [2, 3], [1.0, 6.0], [5.0, 21.0], [0.1, 0.1], 0.5)
    upper, lower = draw_blocks(FLIGHTS.contract, "2013-05", found).axes
    of_day, of_period = upper.lines
    assert of_day.get_xydata().tolist() == [[2, 0.5], [4, 0.7]]
    assert of_period.get_ydata()[0] == pytest.approx(26 / 40)
    observed, predicted = lower.lines
    assert observed.get_ydata().tolist() == [0.2, 0.1]
    assert predicted.get_ydata().tolist() == [0.1, 0.2]


def test_periods_keep_their_place_where_one_was_not_measured() -> None:
    performance = [
        measured("2013-04", "1", 0.5, 0.0),
        unmeasured("2013-05"),
        measured("2013-07", "2", 0.6, 0.05, is_alarm=True),
    ]
    upper, lower = draw_periods(FLIGHTS.contract, {each.period: each for each in performance}, 0.01).axes
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


def test_periods_whose_calibration_drift_is_unknown_still_show_their_loss() -> None:
    upper, lower = draw_periods(FLIGHTS.contract, {"2013-05": measured("2013-05", "1", 0.5, None)}, 0.0).axes
    assert len(upper.containers) == 1
    assert not lower.containers


def test_only_the_last_year_of_periods_is_shown() -> None:
    periods = [f"{period:%Y-%m}" for period in pd.date_range("2011-01-01", periods=30, freq="MS")]
    upper, _ = draw_periods(FLIGHTS.contract, {period: measured(period, "1", 0.5, 0.0) for period in periods}, 0.0).axes
    assert upper.containers[0].lines[0].get_xdata().tolist() == list(range(13))


def test_skill_is_drawn_with_its_interval_and_above_zero_is_better() -> None:
    shown = {each.period: each for each in (measured("2013-05", "1", 0.5, 0.0), measured("2013-07", "1", 0.4, 0.0))}
    (axes,) = draw_skill(FLIGHTS.contract, shown).axes
    (skill,) = axes.containers
    assert skill.lines[0].get_xdata().tolist() == [0, 2]
    assert skill.lines[0].get_ydata().tolist() == [0.05, 0.05]
    assert axes.get_title(loc="left") == "nats per row ↑"
    reference = next(line for line in axes.lines if line.get_label() == "best single prediction")
    assert list(reference.get_ydata()) == [0, 0]


def compared(period: str, **distances: float) -> Record:
    drift = [ColumnDrift(name, distance, 0.1) for name, distance in distances.items()]
    return Record(
        sequence=1,
        at="",
        period=period,
        champion="1",
        clean_sha256="",
        drift=drift,
        drift_note="",
        drift_alarm=False,
        health=[],
        performance=[],
        retrain=False,
        reason="",
        pipeline_run="",
        run_id="",
    )


def test_drift_of_a_column_is_followed_over_the_periods_as_they_were_last_compared() -> None:
    records = [
        compared("2013-06", temp=0.2),
        compared("2013-05", temp=0.05, dest=0.3),
        compared("2013-07"),
        compared("2013-06", temp=0.1),
    ]
    found = drift_by_column(records)
    assert {name: [(period, each.ratio) for period, each in points] for name, points in found.items()} == {
        "temp": [("2013-05", 0.5), ("2013-06", 1.0)],
        "dest": [("2013-05", pytest.approx(3))],
    }
    assert list(draw_histories(records, records[1].drift)) == ["temp"]  # one point of dest is no line


def test_history_of_a_column_marks_what_drifted_and_keeps_the_place_of_a_gap() -> None:
    points = [("2013-05", ColumnDrift("temp", 0.05, 0.1)), ("2013-08", ColumnDrift("temp", 0.4, 0.1))]
    (axes,) = draw_drift("temp", points).axes
    [dots] = axes.collections
    assert dots.get_offsets().tolist() == [[0, 0.5], [3, 4.0]]
    assert to_hex(dots.get_facecolors()[0]) == BLUE
    assert to_hex(dots.get_facecolors()[1]) == RED
    assert [text.get_text() for text in axes.get_xticklabels()] == ["2013-05", "2013-08"]
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 4


def test_at_most_a_dozen_histories_are_drawn_the_most_drifted_first() -> None:
    distances = {f"column_{at:02d}": 1 / (1 + at) for at in range(20)}
    records = [compared("2013-05", **distances), compared("2013-06", **distances)]
    assert list(draw_histories(records, records[1].drift)) == list(distances)[:12]


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
    figure = draw_distribution(FLIGHTS.contract, COUNTED, ColumnDrift("temp", 0.3, 0.1))
    reference, period = figure.axes[0].containers
    assert [bar.get_width() for bar in reference] == [0.25, 0.5, 0.25, 0.0]
    assert [bar.get_width() for bar in period] == [0.25, 0.0, 0.5, 0.25]
    assert labels_of(figure) == ["below 20", "20 to 40", "40 and more", "no value"]
    assert figure.get_suptitle() == "temp, F"


def test_distribution_leaves_out_bins_that_nobody_is_in_and_draws_any_name() -> None:
    counted = Counted(BINNING, profile([1, 0, 0, 0], [5, 4, 0, 0]), profile([1, 0, 0, 0], [3, 1, 0, 0]))
    figure = draw_distribution(FLIGHTS.contract, counted, ColumnDrift("carrier", 0.3, 0.1))
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
def test_bins_are_named_with_as_few_digits_as_keep_them_distinct(edges: list[float], labels: list[str]) -> None:
    assert Binning({"x": edges}, {}).labels("x") == labels


def test_periods_on_an_axis_name_the_year_once() -> None:
    axes = Figure().subplots()
    place_periods(axes, ["2012-12", "2013-01", "2013-02"])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["Dec\n2012", "Jan\n2013", "Feb"]


def test_labels_are_short_and_on_one_line() -> None:
    assert to_label("a\nb") == "a b"
    assert to_label("x" * 21) == "x" * 19 + "…"
