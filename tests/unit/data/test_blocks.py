import pandas as pd

from flights import FLIGHTS
from modelworks.data.blocks import number_blocks


def test_days_are_numbered_as_they_come_whatever_the_hour(rows) -> None:
    times = pd.to_datetime(["2013-05-02 23:59:59", "2013-05-01 00:00:00", "2013-05-02 00:00:00"])
    numbers, days = number_blocks(FLIGHTS.contract, rows(3, scheduled_departure=times))
    assert (numbers.tolist(), days) == ([0, 1, 0], ["2013-05-02", "2013-05-01"])
