from pathlib import Path

import pytest

from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, HOME_VARIABLE, load_settings
from {{ cookiecutter.__package_name }}.errors import ConfigError

# Not the project's own, which its team changes as it likes.
SETTINGS = """
[source]
uri = "data/flights-{month}.csv.gz"
first_month = "2013-01"

[labels]
uri = "" # a file a month
delay_months = 0
min_labelled_fraction = 0.9

[schedule]
cron = "0 0 1 * *"
timezone = "UTC"

[training]
seed = 2013

[model]
min_samples_leaf = 90

[gates]
min_roc_auc = 0.60
"""


def write_toml(project: Path, old: str = "", new: str = "") -> None:
    assert old in SETTINGS
    (project / "pipeline.toml").write_text(SETTINGS.replace(old, new) if old else SETTINGS)


def test_file_is_read_and_paths_start_at_it(project: Path) -> None:
    write_toml(project)
    settings = load_settings()
    assert settings.model.min_samples_leaf == 90
    assert settings.storage_uri == str(project / "var/data")
    assert settings.tracking_uri == f"sqlite:///{project}/var/mlflow/mlflow.db"


def test_environment_overrides_the_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__SEED", "7")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    settings = load_settings()
    assert settings.training.seed == 7
    assert settings.tracking_uri == "http://127.0.0.1:1"


def test_dotenv_overrides_the_file_and_the_shell_overrides_dotenv(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__SEED", "7")
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__THREADS", "5")
    monkeypatch.delenv(f"{ENV_PREFIX}TRAINING__THREADS")
    (project / ".env").write_text(f"{ENV_PREFIX}TRAINING__SEED=8\n{ENV_PREFIX}TRAINING__THREADS=2\n")
    settings = load_settings()
    assert (settings.training.seed, settings.training.threads) == (7, 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "seed = 2013",
            "sead = 2013",
            r"\[training\] sead: no such setting; allowed: window_months, .*, features, seed",
        ),
        ("seed = 2013", 'seed = "x"', r"pipeline.toml: \[training\] seed = 'x': .*integer"),
        ("min_roc_auc = 0.60", "min_roc_auc = 60", r"\[gates\] min_roc_auc = 60: .*less than or equal to 1"),
        ("[gates]", "[gate]", r"\[gate\]: no such setting; allowed: source, labels, storage"),
        ('cron = "0 0 1 * *"', 'cron = "every month x"', r"\[schedule\] cron = 'every month x': not a cron expression"),
        ('timezone = "UTC"', 'timezone = "Mars/Olympus"', r"timezone = 'Mars/Olympus': no time zone of that name"),
        ('first_month = "2013-01"', 'first_month = "2013-13"', r"\[source\] first_month = '2013-13'"),
        ('uri = "" # a file', 'uri = "x" # a file', r"uri = 'x': no \{month\} in it"),
        ("delay_months = 0", "delay_months = -1", r"\[labels\] delay_months = -1: .*greater than or equal to 0"),
        ("min_labelled_fraction = 0.9", "min_labelled_fraction = 0", r"min_labelled_fraction = 0: .*greater than 0"),
        ("seed = 2013", "seed = ", "not valid TOML"),
    ],
)
def test_mistake_in_the_file_is_named(project: Path, monkeypatch, old: str, new: str, message: str) -> None:
    for name in ("FIRST", "LAST"):
        monkeypatch.delenv(f"{ENV_PREFIX}SOURCE__{name}_MONTH")
    write_toml(project, old, new)
    with pytest.raises(ConfigError, match=message):
        load_settings()


QUERY = "select * from flights where at::date >= :start and at < :end"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"QUERY": QUERY, "SQL_CONNECTION": "warehouse"}, "exactly one of uri .files. and query"),
        ({"URI": ""}, "exactly one of uri .files. and query"),
        ({"URI": "", "QUERY": QUERY}, "query and sql_connection belong together"),
        ({"SQL_CONNECTION": "warehouse"}, "query and sql_connection belong together"),
        ({"URI": "", "QUERY": "select 1", "SQL_CONNECTION": "warehouse"}, "query has to hold :start and :end, and"),
        ({"URI": "", "QUERY": f"{QUERY} and b = :b", "SQL_CONNECTION": "w"}, "query has to hold :start and :end, and"),
        ({"URI": "flights.csv"}, r"uri 'flights.csv' has no \{month\} in it"),
        ({"SQL_CONNECTION": "postgresql://ada:s3cret@db/lake"}, r"sql_connection = \.\.\.: .*pattern"),
    ],
)
def test_source_is_files_or_a_query(project: Path, monkeypatch, values: dict[str, str], message: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__{name}", value)
    with pytest.raises(ConfigError, match=rf"\[source\].*: {message}|\[source\] {message}") as refused:
        load_settings()
    assert "s3cret" not in str(refused.value)


def test_query_may_have_casts_and_times_in_it(project: Path, monkeypatch) -> None:
    query = f"{QUERY} and at::time > '08:15' and note <> '\\:b'"
    for name, value in {"URI": "", "QUERY": query, "SQL_CONNECTION": "warehouse"}.items():
        monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__{name}", value)
    assert load_settings().source.query == query


def test_mistake_in_the_environment_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__MAX_ITER", "many")
    with pytest.raises(ConfigError, match=f"environment variable {ENV_PREFIX}MODEL__MAX_ITER.*integer"):
        load_settings()


def test_list_in_the_environment_that_is_no_list_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = f"{ENV_PREFIX}NOTIFICATIONS__EMAIL_TO"
    monkeypatch.setenv(variable, "ada@example.com")
    with pytest.raises(ConfigError, match=rf"^environment variable {variable} = 'ada@example.com': a list is written"):
        load_settings()
    monkeypatch.setenv(variable, '["ada@example.com"]')
    assert load_settings().notifications.email_to == ["ada@example.com"]


@pytest.mark.parametrize("url", ["hooks.example.com/s3cret", "ftp://h/s3cret", "https:///s3cret", "http://h:s3cret/"])
def test_webhook_that_is_no_url_is_refused_and_never_shown(project: Path, monkeypatch, url: str) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}NOTIFICATIONS__WEBHOOK_URL", url)
    with pytest.raises(ConfigError, match=r"\[notifications\] webhook_url = \.\.\.: not a URL") as refused:
        load_settings()
    assert "s3cret" not in str(refused.value)


def test_webhook_is_not_shown_with_the_settings(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}NOTIFICATIONS__WEBHOOK_URL", "https://user:s3cret@hooks.example.com/s3cret")
    settings = load_settings()
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_unknown_variable_with_our_prefix_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__MAX_ITERS", "3")
    with pytest.raises(ConfigError, match=f"{ENV_PREFIX}MODEL__MAX_ITERS: no such setting; allowed: .*MAX_ITER"):
        load_settings()


def test_variable_that_only_looks_like_ours_is_left_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}SERVICE_HOST", "10.0.0.1")
    load_settings()


def test_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    with pytest.raises(ConfigError, match=f"no pipeline.toml in {tmp_path}"):
        load_settings()


def test_digest_changes_with_what_shapes_a_model_only(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_settings().digest
    monkeypatch.setenv(f"{ENV_PREFIX}SCHEDULE__CRON", "0 7 1 * *")
    assert load_settings().digest == before
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__MAX_ITER", "7")
    assert load_settings().digest != before
