"""What a process gets that reads another environment: its settings and credentials, and not those of the target."""

from modelworks.registry.promotion import LedgerEntry, PromotedFrom
from modelworks.stages.export import variables_of

TARGET = {
    "PATH": "/bin",
    "MODELWORKS_HOME": "/project",
    "MODELWORKS_ENV": "prod",
    "MODELWORKS_STORAGE__URI": "s3://prod",
    "MLFLOW_TRACKING_URI": "https://prod",
    "MLFLOW_TRACKING_USERNAME": "of-prod",
    "MLFLOW_TRACKING_PASSWORD": "secret-of-prod",
    "MLFLOW_TRACKING_TOKEN": "token-of-prod",
    "AWS_PROFILE": "team",
}
KEPT = {
    "PATH": "/bin",
    "MODELWORKS_HOME": "/project",
    "MODELWORKS_ENV": "staging",
    "AWS_PROFILE": "team",
    "PYTHON_DOTENV_DISABLED": "1",
}


def test_settings_and_credentials_of_the_target_are_left_out() -> None:
    assert variables_of(TARGET, "staging") == KEPT


def test_those_of_the_source_stand_in_their_place() -> None:
    own = {
        "STAGING__MLFLOW_TRACKING_USERNAME": "of-staging",
        "STAGING__MODELWORKS_STORAGE__URI": "s3://staging",
        "STAGING__AWS_PROFILE": "other",
        "PRE_PROD__MLFLOW_TRACKING_USERNAME": "of-another",
    }
    found = variables_of(TARGET | own, "staging")
    assert found["MLFLOW_TRACKING_USERNAME"] == "of-staging"
    assert "MLFLOW_TRACKING_PASSWORD" not in found
    assert (found["MODELWORKS_STORAGE__URI"], found["AWS_PROFILE"]) == ("s3://staging", "other")
    assert variables_of(TARGET | own, "pre-prod")["MLFLOW_TRACKING_USERNAME"] == "of-another"


ENTRY = LedgerEntry(1, "2013-11-02T06:00:00+00:00", "deploy", "ada", "why", None, "1", "run", "name", "d", "c")


def test_entry_of_the_ledger_has_environment_and_origin_only_where_there_is_one() -> None:
    assert not {"environment", "promoted_from"} & ENTRY.to_json().keys()
    assert ENTRY.to_json()["from_version"] is None
    assert LedgerEntry.from_json(ENTRY.to_json()) == ENTRY
    origin = PromotedFrom("staging", "model@team", "3", "run there", "abc")
    promoted = LedgerEntry(*list(ENTRY.to_json().values()), environment="prod", promoted_from=origin)
    assert LedgerEntry.from_json(promoted.to_json()) == promoted
    assert promoted.to_json()["promoted_from"]["version"] == "3"
