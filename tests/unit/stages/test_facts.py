"""What stages hand to each other survives its way through JSON."""

import json
from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from modelworks.stages import facts
from modelworks.stages.facts import Facts, Ingested, Result, Scored

JSON_TYPES = {str, str | None, int, int | None, float, bool, list[str], dict[str, int]}
EVERY = [each for each in vars(facts).values() if is_dataclass(each) and issubclass(each, Facts)]


def test_facts_come_back_from_their_json_form_as_they_were():
    scored = Scored(
        summary="2013-12: 2 rows", period="2013-12", model_version="3", scores_uri="s", rows=2, decisions={"1": 2}
    )
    assert Scored.from_json(json.loads(json.dumps(scored.to_json()))) == scored


def test_a_field_that_facts_do_not_have_is_refused():
    written = Ingested(summary="", dataset_uri="d", period="2013-12").to_json()
    with pytest.raises(TypeError, match="rows"):
        Ingested.from_json({**written, "rows": 1})


def test_a_missing_field_is_refused():
    with pytest.raises(TypeError, match="dataset_uri"):
        Ingested.from_json({"summary": "", "period": "2013-12"})


def test_facts_do_not_change():
    with pytest.raises(FrozenInstanceError):
        Ingested(summary="", dataset_uri="d", period="2013-12").period = "2014-01"


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_kind_of_facts_is_frozen_and_json(kind):
    """Types that JSON has, so that nothing is lost between two processes."""
    assert kind.__dataclass_params__.frozen
    assert {field.type for field in fields(kind)} <= JSON_TYPES


def test_every_result_has_a_summary():
    results = [kind for kind in EVERY if issubclass(kind, Result)]
    assert len(results) >= 13
    assert all("summary" in {field.name for field in fields(kind)} for kind in results)
