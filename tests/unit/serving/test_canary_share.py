"""Which callers meet the challenger."""

import pytest

from flights import FLIGHTS
from modelworks.data.columnar import Columns
from modelworks.serving.choice import find_key, is_chosen

KEYS = [f"caller {number}" for number in range(20_000)]


def chosen(share: float, version: str = "3") -> set[str]:
    return {key for key in KEYS if is_chosen(key, version, share)}


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_as_many_callers_are_chosen_as_the_share_says(share: float) -> None:
    # Four standard deviations of a binomial share.
    assert len(chosen(share)) / len(KEYS) == pytest.approx(share, abs=4 * (share * (1 - share) / len(KEYS)) ** 0.5)
    assert chosen(share) == chosen(share)


def test_who_is_in_at_a_small_share_stays_in_at_a_larger_one() -> None:
    assert set() == chosen(0.0) < chosen(0.05) < chosen(0.25) < chosen(1.0) == set(KEYS)


def test_other_callers_meet_the_next_challenger() -> None:
    both = len(chosen(0.25, "3") & chosen(0.25, "4")) / len(KEYS)
    assert both == pytest.approx(0.25**2, abs=0.01)


def test_a_caller_is_known_by_the_header_or_by_the_key_of_the_first_row() -> None:
    rows = Columns.from_records([FLIGHTS.contract.example, {**FLIGHTS.contract.example, "flight": 99}])
    by_rows = find_key(FLIGHTS.contract, "", rows, {})
    assert str(FLIGHTS.contract.example["flight"]) in by_rows.split("\x1f")
    assert find_key(FLIGHTS.contract, "X-Client", rows, {"X-Client": "ada"}) == "ada"
    assert find_key(FLIGHTS.contract, "X-Client", rows, {}) == by_rows
    nameless = Columns.from_records([dict.fromkeys(FLIGHTS.contract.key)])
    assert find_key(FLIGHTS.contract, "", nameless, {}) == ""
