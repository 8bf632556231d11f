import json

import pytest

from modelworks.data.spark_address import connection_variable, read_address
from modelworks.errors import ConfigError

VARIABLE = "AIRFLOW_CONN_LAKE"


@pytest.mark.parametrize(
    ("url", "shown", "is_connect"),
    [
        ("sc://spark.example.com", "sc://spark.example.com:15002", True),
        ("sc://localhost:15003", "sc://localhost:15003", True),
        ("sc://10.0.0.7:443/;use_ssl=true;user_id=ada", "sc://10.0.0.7:443", True),
        ("spark://one:7077,two:7077", "spark://one:7077,two:7077", False),
        ("yarn", "yarn", False),
        ("k8s://https://10.0.0.7:443", "k8s://https://10.0.0.7:443", False),
        ("local[4]", "local[4]", False),
    ],
)
def test_addresses_are_those_of_spark(url: str, shown: str, is_connect: bool) -> None:
    address = read_address(url)
    assert (address.url, address.shown, address.is_connect) == (url, shown, is_connect)


@pytest.mark.parametrize("url", ["", "http://spark:15002", "sc://", "sc://host:port", "localhost:15002", "yarn-client"])
def test_what_is_no_address_is_refused_with_examples(url: str) -> None:
    with pytest.raises(ConfigError, match=r"\[compute\] spark_url: no address of Spark; write sc://host:15002, "):
        read_address(url)


@pytest.mark.parametrize("url", ["sc://host:15002/;token=s3cret", "sc://host:15002/;user_id=a;token=s3cret"])
def test_secret_in_pipeline_toml_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="holds a secret; put the whole URL into AIRFLOW_CONN_") as refused:
        read_address(url)
    assert "s3cret" not in str(refused.value)


def test_connection_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (connection_variable("airflow://lake"), connection_variable("sc://lake")) == (VARIABLE, "")
    monkeypatch.setenv(VARIABLE, "sc://host:15003/;token=s3cret")
    address = read_address("airflow://lake")
    assert address.url == "sc://host:15003/;token=s3cret"
    assert address.shown == "sc://host:15003"
    assert "s3cret" not in repr(address)


@pytest.mark.parametrize(
    ("about", "url"),
    [
        (
            {"conn_type": "spark_connect", "host": "sc://lake.example.com", "port": 15003, "password": "s3/cret"},
            "sc://lake.example.com:15003/;token=s3%2Fcret",
        ),
        (
            {"conn_type": "spark_connect", "host": "lake", "login": "ada", "extra": json.dumps({"use_ssl": True})},
            "sc://lake/;user_id=ada;use_ssl=true",
        ),
        ({"conn_type": "spark_connect", "host": "lake", "extra": None}, "sc://lake/"),
        ({"conn_type": "spark", "host": "spark://lake", "port": 7077}, "spark://lake:7077"),
        ({"conn_type": "spark", "host": "yarn"}, "yarn"),
    ],
)
def test_airflow_s_json_of_a_connection_becomes_the_url(about: dict, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps(about))
    assert read_address("airflow://lake").url == url


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", f"environment variable {VARIABLE}: not set; .* wants Spark's address"),
        ('{"conn_type": "spark_connect", "password": "s3cret"}', "neither a URL nor an Airflow connection as JSON"),
        ("{s3cret", "neither a URL nor an Airflow connection as JSON"),
        ("postgresql://ada:s3cret@host/lake", f"environment variable {VARIABLE}: no address of Spark"),
    ],
)
def test_connection_that_leads_nowhere_is_refused_without_its_secret(
    value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(ConfigError, match=message) as refused:
        read_address("airflow://lake")
    assert "s3cret" not in str(refused.value)


def test_messages_of_spark_lose_the_secret_as_it_is_and_as_it_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "sc://host:15003/;token=s3%2Fcret;user_id=ada")
    address = read_address("airflow://lake")
    redacted = address.redact(f"no answer from {address.url}: token s3/cret, s3%2Fcret")
    assert redacted == "no answer from sc://host:15003: token ***, ***"
