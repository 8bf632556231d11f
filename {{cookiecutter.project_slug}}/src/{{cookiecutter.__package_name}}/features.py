"""Derived columns: a plain function on a frame, used alike in training, batch scores and the API."""

import numpy as np
import pandas as pd


def add_features(flights: pd.DataFrame) -> pd.DataFrame:
    """One row in, one row out; only columns known at prediction time.

    `north_wind` is the wind's component from the north (mph): it decides which of JFK's runways are in use.
    `frost` is how far below freezing it is (F) while there is precipitation or mist, else 0: aircraft are de-iced.
    """
    is_wet = (flights["precip"] > 0) | (flights["visibility"] < 5)
    return flights.assign(
        north_wind=flights["wind_speed"] * np.cos(np.deg2rad(flights["wind_dir"])),
        frost=np.maximum(32 - flights["temp"], 0) * is_wet,
    )
