"""What this team asks beyond the engine's own data checks and release gates."""

import pandas as pd
from modelworks import Check, on_columns
from modelworks.evaluation.holdout import HoldoutEvaluation

MAX_DAYS_WITHOUT_WEATHER = 3
MAX_LOSS_IN_BAD_WEATHER = 0.05  # log loss, nats


@on_columns("scheduled_departure", "temp", "wind_speed")
def weather_is_there(flights: pd.DataFrame) -> Check:
    """Days of a period for which the station reported nothing; without weather a model predicts the average day."""
    is_missing = flights["temp"].isna() & flights["wind_speed"].isna()
    days = is_missing.groupby(flights["scheduled_departure"].dt.normalize()).all()
    missing = [f"{day:%Y-%m-%d}" for day in days.index[days]]
    detail = (
        f"{len(missing)} days without any, at most {MAX_DAYS_WITHOUT_WEATHER} allowed: {', '.join(missing) or 'none'}"
    )
    return Check("weather", len(missing) <= MAX_DAYS_WITHOUT_WEATHER, detail)


def no_worse_in_bad_weather(evaluation: HoldoutEvaluation) -> Check:
    """Bad weather is rare and costs most: there, too, the candidate may not lose against the champion."""
    name, rows = "not worse than the champion in bad weather", evaluation.select(["visibility", "wind_gust"])
    is_bad = (rows["visibility"] < 3) | (rows["wind_gust"] > 30)
    gain = evaluation.gain_over_champion(is_bad)
    if gain is None:
        return Check(name, True, "there is no champion yet")
    is_worse = gain.value < -MAX_LOSS_IN_BAD_WEATHER and gain.high < 0
    return Check(name, not is_worse, f"gain over the champion on {is_bad.sum():,} flights: {gain}")
