"""The data contract, declared once; reading, validation, features and the model's signature derive from it.

One row is one scheduled departure. Everything that is not an outcome is known two hours before it; an outcome is null
until it is known.
"""

from typing import Any

from .declaration import Task, between, column, matches, one_of

TASK: Task = "binary"
CLASSES: list[Any] = [0, 1]
"""Values of the target; of two, the second is the one whose probability is predicted."""

_CARRIER = matches(r"^[A-Z0-9]{2}$")
_AIRPORT = matches(r"^[A-Z]{3}$")

COLUMNS = {
    "scheduled_departure": column("time", "datetime64[us]", "scheduled departure", unit="local time"),
    "carrier": column("feature", "str", "airline, IATA code", _CARRIER),
    "flight": column("key", "int64", "flight number", between(1, 9999)),
    "origin": column("key", "str", "airport of departure, IATA code", _AIRPORT),
    "dest": column("feature", "str", "airport of arrival, IATA code", _AIRPORT),
    "distance": column("feature", "int64", "distance to fly", between(1, 10_000), unit="miles"),
    "hour_departures": column("feature", "int64", "flights scheduled from the airport in that hour", between(1, 500)),
    "recent_departures": column(
        "feature", "int64", "flights that left in the 3 h up to 2 h before departure", between(0, 1000)
    ),
    "recent_delay": column(
        "feature",
        "float64",
        "mean departure delay of the flights that left in those 3 h",
        between(-120, 2880),
        unit="minutes",
        nullable=True,
    ),
    "temp": column("feature", "float64", "temperature", between(-80, 135), unit="F", nullable=True),
    "humidity": column("feature", "float64", "relative humidity", between(0, 100), unit="%", nullable=True),
    "wind_dir": column("feature", "float64", "wind direction", between(0, 360), unit="degrees", nullable=True),
    "wind_speed": column("feature", "float64", "wind speed", between(0, 200), unit="mph", nullable=True),
    "wind_gust": column("feature", "float64", "wind gusts", between(0, 250), unit="mph", nullable=True),
    "precip": column("feature", "float64", "precipitation in the hour", between(0, 12), unit="in", nullable=True),
    "pressure": column("feature", "float64", "pressure at sea level", between(870, 1090), unit="mb", nullable=True),
    "visibility": column("feature", "float64", "visibility", between(0, 100), unit="miles", nullable=True),
    "dep_delay": column("outcome", "float64", "departure delay", between(-180, 2880), unit="minutes", nullable=True),
    "arr_delay": column("outcome", "float64", "arrival delay", between(-180, 2880), unit="minutes", nullable=True),
    "delayed": column(
        "target",
        "float64",
        "1: arrived 15 minutes late or more, was cancelled or was diverted",
        one_of(0, 1),
        nullable=True,
    ),
}

KEY = ["scheduled_departure", "carrier", "flight", "origin", "dest"]
"""Tells the rows of a month apart."""
GROUP = ""
"""Column whose rows belong together, such as one for each visit of a patient; only where there is no time column."""
SLICES = ["carrier"]
"""Columns whose values are judged one by one when a model is evaluated, beside the hour of day."""

EXAMPLE: dict[str, Any] = {
    "scheduled_departure": "2013-07-03T08:15:00",
    "carrier": "DL",
    "flight": 1167,
    "origin": "JFK",
    "dest": "TPA",
    "distance": 1005,
    "hour_departures": 31,
    "recent_departures": 5,
    "recent_delay": -4.4,
    "temp": 71.1,
    "humidity": 93.5,
    "wind_dir": 180.0,
    "wind_speed": 3.5,
    "wind_gust": None,
    "precip": 0.0,
    "pressure": 1023.7,
    "visibility": 10.0,
}
"""A real row, without what is known only afterwards, for the pages of the prediction API."""
