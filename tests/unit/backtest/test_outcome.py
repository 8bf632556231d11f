import pytest

from modelworks.backtest.outcome import PeriodOutcome, mean_loss


def test_served_loss_counts_rows_and_leaves_out_what_was_not_measured() -> None:
    def period(name: str, rows: int, loss: float | None) -> PeriodOutcome:
        return PeriodOutcome(name, "1", rows, loss, None, [], False, "", "", "", None, [])

    periods = [
        period("2013-04", 9, 0.9),
        period("2013-05", 100, 0.4),
        period("2013-06", 300, 0.6),
        period("2013-07", 9, None),
    ]
    assert mean_loss(periods, "2013-05", "2013-07") == pytest.approx(0.55)
    with pytest.raises(ValueError, match="nothing was served and measured from 2013-07 to 2013-07"):
        mean_loss(periods, "2013-07", "2013-07")
