from dataclasses import replace

import pytest

from examples import TEXT
from flights import FLIGHTS
from modelworks.errors import ConfigError
from modelworks.models.parameters import (
    check_parameters,
    complete_parameters,
    find_unused_parameters,
    logged_parameters,
)
from modelworks.models.types import forest, linear
from modelworks.settings import Model


def test_parameters_are_defaults_and_those_of_the_settings() -> None:
    complete = complete_parameters(FLIGHTS, Model(parameters={"max_iter": 7, "max_leaf_nodes": 5}))
    assert (complete["max_iter"], complete["max_leaf_nodes"]) == (7, 5)
    assert complete["max_features"] == 1.0  # the default of the type
    assert "n_estimators" not in complete


def test_parameter_of_another_model_type_is_accepted_and_not_used() -> None:
    model = Model(type="linear", parameters={"max_iter": 7, "l2_regularization": 3})
    assert complete_parameters(FLIGHTS, model) == {"l2_regularization": 3.0}
    assert find_unused_parameters(FLIGHTS, model) == ["max_iter"]


def test_parameter_that_no_model_type_has_is_refused_with_the_nearest() -> None:
    refused = r"\[model.parameters\] max_itre: the model type 'boosting' has no such parameter; did you mean max_iter\?"
    with pytest.raises(ConfigError, match=refused):
        check_parameters(FLIGHTS, Model(parameters={"max_itre": 7}))
    alone = replace(FLIGHTS, model_types={"linear": linear.MODEL_TYPE, "forest": forest.MODEL_TYPE})
    with pytest.raises(ConfigError, match=r"learning_rate: .*allowed: l2_regularization$"):
        check_parameters(alone, Model(type="linear", parameters={"learning_rate": 0.1}))


def test_encoder_is_logged_of_a_model_that_reads_documents_only() -> None:
    linear_model = Model(type="linear", encoder="spacy_vectors", scaling="standard")
    of_table = {"type": "linear", "scaling": "standard", "selected_fraction": 1.0, "l2_regularization": 5.0}
    assert logged_parameters(FLIGHTS, linear_model) == of_table
    assert logged_parameters(TEXT.project, linear_model) == {**of_table, "encoder": "spacy_vectors", "weights": ""}
    # A model type with an encoder of its own does not use that of the settings.
    own = logged_parameters(TEXT.project, Model(type="fine_tuned", encoder="spacy_vectors"))
    assert own["encoder"] == "tokens"


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [("max_iter", "7", 7), ("max_iter", 7.0, 7), ("learning_rate", "0.5", 0.5), ("learning_rate", 1, 1.0)],
)
def test_values_get_the_type_of_their_default(name: str, given: object, taken: object) -> None:
    found = complete_parameters(FLIGHTS, Model(parameters={name: given}))[name]
    assert (found, type(found)) == (taken, type(taken))


@pytest.mark.parametrize(
    ("name", "given"), [("max_iter", "many"), ("max_iter", 7.5), ("max_iter", True), ("learning_rate", "fast")]
)
def test_value_of_another_type_is_refused_with_the_default(name: str, given: object) -> None:
    with pytest.raises(ConfigError, match=rf"\[model.parameters\] {name} = {given!r}: not (of type int|a number)"):
        complete_parameters(FLIGHTS, Model(parameters={name: given}))
