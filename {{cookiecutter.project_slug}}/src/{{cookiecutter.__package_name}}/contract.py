"""What a row is. One row is one scheduled departure.

Everything that is not an outcome is known two hours before the departure; an outcome is null until it is known.
"""

from modelworks.contract import Contract, between, binary, column, identifier, matches, outcome

CONTRACT = Contract(
    target=binary(
        "delayed", "1: arrived 15 minutes late or more, was cancelled or was diverted", negative=0, positive=1
    ),
    time="scheduled_departure",
    key=["scheduled_departure", "carrier", "flight", "origin", "dest"],
    slices=["carrier"],
    columns=[
        column("scheduled_departure", "datetime64[us]", "scheduled departure", unit="local time"),
        column("carrier", "str", "airline, IATA code", matches(r"^[A-Z0-9]{2}$")),
        identifier("flight", "int64", "flight number", between(1, 9999)),
        identifier("origin", "str", "airport of departure, IATA code", matches(r"^[A-Z]{3}$")),
        column("dest", "str", "airport of arrival, IATA code", matches(r"^[A-Z]{3}$")),
        column("distance", "int64", "distance to fly", between(1, 10_000), unit="miles"),
        column("hour_departures", "int64", "flights scheduled from the airport in that hour", between(1, 500)),
        column("recent_departures", "int64", "flights that left 5 h to 2 h before departure", between(0, 1000)),
        column(
            "recent_delay",
            "float64",
            "mean departure delay of those flights",
            between(-120, 2880),
            unit="minutes",
            nullable=True,
        ),
        column("temp", "float64", "temperature", between(-80, 135), unit="F", nullable=True),
        column("humidity", "float64", "relative humidity", between(0, 100), unit="%", nullable=True),
        column("wind_dir", "float64", "wind direction", between(0, 360), unit="degrees", nullable=True),
        column("wind_speed", "float64", "wind speed", between(0, 200), unit="mph", nullable=True),
        column("wind_gust", "float64", "wind gusts", between(0, 250), unit="mph", nullable=True),
        column("precip", "float64", "precipitation in the hour", between(0, 12), unit="in", nullable=True),
        column("pressure", "float64", "pressure at sea level", between(870, 1090), unit="mb", nullable=True),
        column("visibility", "float64", "visibility", between(0, 100), unit="miles", nullable=True),
        outcome("dep_delay", "float64", "departure delay", between(-180, 2880), unit="minutes"),
        outcome("arr_delay", "float64", "arrival delay", between(-180, 2880), unit="minutes"),
    ],
    example={
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
    },
)
