"""Labels and rows are typed by hand; what becomes of each is worked out beside it."""

import pandas as pd
import pyarrow as pa
import pytest

from flights import FLIGHTS
from modelworks.data import frames
from modelworks.data.labels import PeriodLabels
from modelworks.data.validation import find_duplicates, split_rows

NOTHING = {"labelled": 0, "missing": 0, "contradictory": 0, "unmatched": 0}


def batch(frame: pd.DataFrame) -> pa.RecordBatch:
    """Rows as a source has them, without outcomes."""
    return pa.RecordBatch.from_pandas(frame.drop(columns=FLIGHTS.contract.outcomes), preserve_index=False)


def labels_of(frame: pd.DataFrame, **outcomes: object) -> pd.DataFrame:
    return frame[FLIGHTS.contract.label_columns].assign(**outcomes)


def as_text(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype("str").where(frame.notna(), None)


def join(frame: pd.DataFrame, labels: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The joined rows, and the counts that are not 0."""
    period = PeriodLabels(FLIGHTS.contract, labels)
    joined = period.join(batch(frame)).to_pandas()
    return joined, {name: count for name, count in period.counts().items() if count}


def test_labels_are_found_by_the_key_in_whatever_order_they_stand(rows) -> None:
    frame = rows(4, arr_delay=[5.0, 20.0, None, 40.0])
    joined, counts = join(frame, labels_of(frame)[::-1])
    pd.testing.assert_frame_equal(joined, frame)
    assert counts == {"labelled": 4}


@pytest.mark.parametrize("typed_rows", [True, False])
@pytest.mark.parametrize("typed_labels", [True, False])
def test_text_and_types_meet_in_any_combination(rows, typed_rows: bool, typed_labels: bool) -> None:
    frame = rows(3, arr_delay=[5.0, None, 40.0])
    given = labels_of(frame)
    period = PeriodLabels(FLIGHTS.contract, given if typed_labels else as_text(given))
    without = frame.drop(columns=FLIGHTS.contract.outcomes)
    without = without if typed_rows else as_text(without)
    joined = period.join(pa.RecordBatch.from_pandas(without, preserve_index=False)).to_pandas()
    clean, quarantined = split_rows(
        FLIGHTS.contract, joined, find_duplicates(FLIGHTS.contract, joined[FLIGHTS.contract.key]), "2013-05"
    )
    pd.testing.assert_frame_equal(clean, frame)
    assert quarantined.empty
    assert period.counts() == NOTHING | {"labelled": 3}


def test_row_without_a_label_stays_and_is_counted(rows) -> None:
    frame = rows(3)
    joined, counts = join(frame, labels_of(frame).drop(index=1))
    assert joined["delayed"].isna().tolist() == [False, True, False]
    pd.testing.assert_frame_equal(joined[FLIGHTS.contract.features], frame[FLIGHTS.contract.features])
    assert counts == {"labelled": 2, "missing": 1}


def test_period_without_any_label_has_the_types_of_the_contract(rows) -> None:
    joined, counts = join(rows(2), frames.empty_frame(FLIGHTS.contract))
    assert joined.dtypes.astype("str").to_dict() == FLIGHTS.contract.dtypes
    assert joined[FLIGHTS.contract.outcomes].isna().all(axis=None)
    assert counts == {"missing": 2}


def test_contradictory_labels_are_not_used(rows) -> None:
    frame = rows(3)
    one, other = labels_of(frame.head(1), delayed=1.0), labels_of(frame.head(1), delayed=0.0)
    joined, counts = join(frame, pd.concat([one, labels_of(frame.tail(2)), other, one]))
    assert joined["delayed"].isna().tolist() == [True, False, False]
    assert joined["dep_delay"].isna().tolist() == [True, False, False]
    assert counts == {"labelled": 2, "contradictory": 1}


def test_outcome_beside_the_target_can_contradict_as_well(rows) -> None:
    frame = rows(1)
    given = pd.concat([labels_of(frame, arr_delay=3.0), labels_of(frame, arr_delay=None)])
    assert join(frame, given)[1] == {"contradictory": 1}


def test_equal_labels_are_one_however_they_are_written(rows) -> None:
    frame = rows(2)
    given = as_text(labels_of(frame))
    again = given.assign(
        scheduled_departure=given["scheduled_departure"].str.replace(" ", "T"), delayed=["0", "1"], dep_delay="0.00"
    )
    joined, counts = join(frame, pd.concat([given, again, given]))
    assert joined["delayed"].astype("float64").tolist() == [0.0, 1.0]
    assert counts == {"labelled": 2}


def test_line_without_an_outcome_says_as_much_as_no_line(rows) -> None:
    frame = rows(2)
    unknown = labels_of(frame, dep_delay=None, arr_delay=None, delayed=None)
    joined, counts = join(frame, pd.concat([unknown, labels_of(frame.head(1), delayed=1.0)]))
    assert joined["delayed"].fillna(-1).tolist() == [1.0, -1.0]
    assert counts == {"labelled": 1, "missing": 1}


def test_outcome_without_the_target_is_kept_and_is_no_label(rows) -> None:
    frame = rows(1)
    joined, counts = join(frame, labels_of(frame, dep_delay=7.0, delayed=None))
    assert joined["dep_delay"].tolist() == [7.0]
    assert counts == {"missing": 1}


def test_labels_of_no_row_are_counted_once_a_key(rows) -> None:
    frame = rows(2)
    elsewhere = labels_of(rows(1, period="2013-06"))
    contradictory = [labels_of(rows(1, flight=77), delayed=value) for value in (0.0, 1.0)]
    _, counts = join(frame, pd.concat([labels_of(frame), elsewhere, elsewhere, *contradictory]))
    assert counts == {"labelled": 2, "unmatched": 2}


def test_label_whose_key_does_not_parse_belongs_to_no_row(rows) -> None:
    frame = as_text(rows(3)).assign(flight=["1", "x", None])
    labels = as_text(labels_of(rows(3))).assign(flight=["1", "x", None])
    joined, counts = join(frame, labels)
    assert joined["delayed"].notna().tolist() == [True, False, False]
    assert counts == {"labelled": 1, "missing": 2, "unmatched": 2}


def test_rows_that_repeat_a_key_have_the_same_label(rows) -> None:
    frame = rows(2, scheduled_departure=pd.Timestamp("2013-05-01T06:00"), delayed=1.0)
    joined, counts = join(frame, labels_of(frame.head(1)))
    assert joined["delayed"].tolist() == [1.0, 1.0]
    assert counts == {"labelled": 2}


def test_counts_add_up_over_batches(rows) -> None:
    frame = rows(4)
    period = PeriodLabels(FLIGHTS.contract, labels_of(pd.concat([frame.drop(index=2), rows(1, flight=77)])))
    for half in (frame.head(2), frame.tail(2)):
        period.join(batch(half))
    assert period.counts() == {"labelled": 3, "missing": 1, "contradictory": 0, "unmatched": 1}


@pytest.mark.parametrize(
    ("value", "reason"), [("7", r"delayed: isin\(\[0, 1\]\): 7.0"), ("soon", "delayed: not a float64: soon")]
)
def test_label_that_breaks_the_contract_puts_its_row_into_quarantine(rows, value: str, reason: str) -> None:
    frame = rows(2)
    joined, _ = join(frame, as_text(labels_of(frame)).assign(delayed=["1", value]))
    clean, quarantined = split_rows(
        FLIGHTS.contract, joined, find_duplicates(FLIGHTS.contract, joined[FLIGHTS.contract.key]), "2013-05"
    )
    assert clean["delayed"].tolist() == [1.0]
    assert quarantined["reason"].str.fullmatch(reason).all()
    assert len(quarantined) == 1
