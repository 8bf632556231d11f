"""Tables of one's own as files, to be adopted by a project."""

from __future__ import annotations

import csv
import math
import random
from datetime import date, timedelta
from pathlib import Path


def write_customers(path: Path, target: str = "gekündigt", first: int = 0) -> None:
    """As a German office saves it: no time, decimal commas, umlauts, brackets, and a text to predict."""
    chance = random.Random(first + 1)  # noqa: S311 - rows, not secrets
    with path.open("w", encoding="latin-1", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["Kunden-Nr.", "Umsatz [EUR/Monat]", "class", "Tarif", "Größe", target])
        for number in range(first, first + 3000):
            revenue, calls = chance.gauss(40, 12), chance.randrange(8)
            tariff = chance.choice(["Grün", "Basis", "Komfort"])
            leaves = chance.random() < 1 / (1 + math.exp(-(calls - 4 + (tariff == "Basis") - (revenue - 40) / 20)))
            size = "" if chance.random() < 0.1 else f"{chance.uniform(1, 9):.2f}".replace(".", ",")
            row = [f"K{number:05}", f"{revenue:.2f}".replace(".", ","), calls, tariff, size, "ja" if leaves else "nein"]
            writer.writerow(row)


def write_rentals(path: Path, days: int, first: date = date(2024, 1, 1)) -> None:
    """Four rows a day, which is written in a form of its own, and a number to predict."""
    chance = random.Random(days)  # noqa: S311 - rows, not secrets
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["day", "station", "temperature", "holiday", "rentals"])
        for number in range(days):
            day = first + timedelta(days=number)
            warmth = 12 - 11 * math.cos(2 * math.pi * day.timetuple().tm_yday / 365) + chance.gauss(0, 3)
            for station in ("Harbour", "Market", "Park (north)", "University"):
                busy = {"Harbour": 40, "Market": 90, "Park (north)": 25, "University": 60}[station]
                count = max(0, round(busy + 3 * warmth - 15 * (day.weekday() == 6) + chance.gauss(0, 8)))
                writer.writerow([f"{day:%d.%m.%Y}", station, f"{warmth:.1f}", day.weekday() == 6, count])


def write_measurements(path: Path, rows: int) -> None:
    """Numbers with all their digits, which no format makes much smaller than 40 bytes a row."""
    chance = random.Random(rows)  # noqa: S311 - rows, not secrets
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c", "d", "e", "broken"])
        for _ in range(rows):
            measured = [chance.random() for _ in range(5)]
            writer.writerow([*measured, "yes" if measured[0] + chance.gauss(0, 0.2) > 0.7 else "no"])
