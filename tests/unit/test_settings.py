import os
from pathlib import Path

import pytest

from modelworks.errors import ConfigError
from modelworks.settings import ENV_PREFIX, HOME_VARIABLE, Limits, Settings, check_working_folder, load_settings

# Not the template's own, which may change.
SETTINGS = """
[source]
uri = "data/flights-{period}.csv.gz"
first = "2013-01"

[labels]
uri = "" # a file a period
delay_periods = 0
min_labelled_fraction = 0.9

[schedule]
cron = "0 0 1 * *"
timezone = "UTC"

[training]
seed = 2013

[model]
parameters = { min_samples_leaf = 90 }

[gates.metrics]
roc_auc = { min = 0.60 }
"""


def write_toml(home: Path, old: str = "", new: str = "", encoding: str = "utf-8") -> None:
    assert old in SETTINGS
    text = SETTINGS.replace(old, new) if old else SETTINGS
    (home / "pipeline.toml").write_text(text, encoding=encoding)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings, and no variable that changes them."""
    for name in list(os.environ):
        if name.startswith(ENV_PREFIX) or name == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    write_toml(tmp_path)
    return tmp_path


def test_file_is_read_and_paths_start_at_it(home: Path) -> None:
    settings = load_settings()
    assert settings.model.parameters == {"min_samples_leaf": 90}
    assert settings.storage_uri == str(home / "var/data")
    assert settings.tracking_uri == f"sqlite:///{home}/var/mlflow/mlflow.db"


def test_environment_overrides_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__SEED", "7")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    settings = load_settings()
    assert settings.training.seed == 7
    assert settings.tracking_uri == "http://127.0.0.1:1"


def test_overrides_win_over_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__SEED", "7")
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__THREADS", "5")
    settings = load_settings(overrides={"training": {"seed": 9}})
    assert (settings.training.seed, settings.training.threads) == (9, 5)


@pytest.mark.parametrize("variable", ["MLFLOW_TRACKING_URI", f"{ENV_PREFIX}TRACKING__URI"])
def test_sandbox_is_local_although_the_environment_names_a_server(home: Path, monkeypatch, variable: str) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert not load_settings().is_mlflow_local
    settings = load_settings(overrides={"tracking": {"uri": ""}})
    assert settings.is_mlflow_local
    assert settings.tracking_uri == settings.local_store_uri
    assert settings.registry.endswith("@local")


def test_other_override_of_tracking_leaves_the_server_of_the_environment(home: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    settings = load_settings(overrides={"tracking": {"experiment": "e"}})
    assert (settings.experiment, settings.tracking_uri) == ("e", "http://127.0.0.1:1")


def test_settings_stay_as_they_were_loaded_when_the_environment_changes(home: Path, monkeypatch) -> None:
    settings = load_settings()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert settings.is_mlflow_local
    assert settings.tracking_uri == settings.local_store_uri


def test_mistake_in_an_override_is_named_as_one(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"^overrides: \[training\] sead: no such setting; did you mean seed\?"):
        load_settings(overrides={"training": {"sead": 1}})
    with pytest.raises(ConfigError, match=r"^overrides: \[training\] seed = 'x': .*integer"):
        load_settings(overrides={"training": {"seed": "x"}})


def test_file_with_a_byte_order_mark_is_read(home: Path) -> None:
    write_toml(home, encoding="utf-8-sig")
    assert load_settings().model.parameters == {"min_samples_leaf": 90}


def test_file_that_is_not_utf8_is_named(home: Path) -> None:
    write_toml(home, "# a file", "# für jede", encoding="latin-1")
    with pytest.raises(ConfigError, match=rf"^{home}/pipeline.toml: not valid TOML: .*utf-8"):
        load_settings()


def test_setting_without_a_similar_one_is_refused_with_all_that_there_are(home: Path) -> None:
    write_toml(home, "seed = 2013", "xyz = 2013")
    with pytest.raises(ConfigError, match=r"\[training\] xyz: no such setting; allowed: window, .*, seed"):
        load_settings()


def test_name_is_that_of_the_pyproject_or_else_of_the_folder(home: Path) -> None:
    assert load_settings().name == home.name
    (home / "pyproject.toml").write_text('[project]\nname = "flight-delays"\n')
    settings = load_settings()
    assert (settings.name, settings.prefix, settings.experiment) == ("flight-delays", "flight_delays", "flight-delays")
    (home / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(ConfigError, match=r"pyproject.toml: no \[project\] name"):
        load_settings()


def test_dotenv_overrides_the_file_and_the_shell_overrides_dotenv(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__SEED", "7")
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__THREADS", "5")
    monkeypatch.delenv(f"{ENV_PREFIX}TRAINING__THREADS")
    (home / ".env").write_text(f"{ENV_PREFIX}TRAINING__SEED=8\n{ENV_PREFIX}TRAINING__THREADS=2\n")
    settings = load_settings()
    assert (settings.training.seed, settings.training.threads) == (7, 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "seed = 2013",
            "sead = 2013",
            r"\[training\] sead: no such setting; did you mean seed\? allowed: window, .*, features, trend, seed",
        ),
        ("seed = 2013", 'seed = "x"', r"pipeline.toml: \[training\] seed = 'x': .*integer"),
        ("min = 0.60", "min = 0.9, max = 0.8", r"\[gates.metrics\] roc_auc = .*: min 0.9 is above max 0.8"),
        (
            "min = 0.60",
            "mim = 0.60",
            r"\[gates.metrics.roc_auc\] mim: no such setting; did you mean min\?",
        ),
        (
            "[gates.metrics]",
            "[gates.fairness]\ncolum = []\n[gates.metrics]",
            r"\[gates.fairness\] colum: no such setting; did you mean columns\? allowed: columns, limits",
        ),
        (
            "[gates.metrics]",
            "[gates.fairness.limits]\naccuracy_ratio = { mn = 1 }\n[gates.metrics]",
            r"\[gates.fairness.limits.accuracy_ratio\] mn: no such setting; did you mean min\? allowed: min, max",
        ),
        ("= 90 }", "= [90] }", r"\[model.parameters\] min_samples_leaf = \[90\]: neither a number nor a text"),
        ("seed = 2013", "holdout = 1.5", r"\[training\] holdout = 1.5: neither a whole number of periods, such as 1"),
        (
            "[gates.metrics]",
            "[gate.metrics]",
            r"\[gate\]: no such setting; did you mean gates\? allowed: source, labels",
        ),
        (
            'cron = "0 0 1 * *"',
            'cron = "every month x"',
            r"\[schedule\] cron = 'every month x': not a cron expression",
        ),
        ('timezone = "UTC"', 'timezone = "Mars/Olympus"', r"timezone = 'Mars/Olympus': no time zone of that name"),
        ('first = "2013-01"', 'first = "2013-13"', r"\[source\] first = '2013-13'"),
        ('uri = "" # a file', 'uri = "x" # a file', r"uri = 'x': no \{period\} in it"),
        ("delay_periods = 0", "delay_periods = -1", r"\[labels\] delay_periods = -1: .*greater than or equal to 0"),
        ("min_labelled_fraction = 0.9", "min_labelled_fraction = 0", r"min_labelled_fraction = 0: .*greater than 0"),
        ("seed = 2013", "seed = ", "not valid TOML"),
    ],
)
def test_mistake_in_the_file_is_named(home: Path, old: str, new: str, message: str) -> None:
    write_toml(home, old, new)
    with pytest.raises(ConfigError, match=message):
        load_settings()


QUERY = "select * from flights where at::date >= :start and at < :end"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"QUERY": QUERY, "SQL_CONNECTION": "warehouse"}, "uri .files. and query .of a SQL database. exclude each"),
        ({"URI": "", "QUERY": QUERY}, "query and sql_connection belong together"),
        ({"SQL_CONNECTION": "warehouse"}, "query and sql_connection belong together"),
        (
            {"URI": "", "QUERY": "select 1", "SQL_CONNECTION": "warehouse"},
            "query has to have the parameters :start and :end",
        ),
        (
            {"URI": "", "QUERY": f"{QUERY} and b = :b", "SQL_CONNECTION": "w"},
            "query has to have the parameters :start and :end",
        ),
        ({"URI": "flights.csv"}, r"uri 'flights.csv' has no \{period\} in it"),
        ({"SQL_CONNECTION": "postgresql://ada:s3cret@db/lake"}, r"sql_connection = \.\.\.: .*pattern"),
    ],
)
def test_source_is_files_or_a_query(home: Path, monkeypatch, values: dict[str, str], message: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__{name}", value)
    with pytest.raises(ConfigError, match=rf"\[source\].*: {message}|\[source\] {message}") as refused:
        load_settings()
    assert "s3cret" not in str(refused.value)


def test_query_may_have_casts_and_times_in_it(home: Path, monkeypatch) -> None:
    query = f"{QUERY} and at::time > '08:15' and note <> '\\:b'"
    for name, value in {"URI": "", "QUERY": query, "SQL_CONNECTION": "warehouse"}.items():
        monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__{name}", value)
    assert load_settings().source.query == query


def test_mistake_in_the_environment_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__SEED", "many")
    with pytest.raises(ConfigError, match=f"environment variable {ENV_PREFIX}TRAINING__SEED.*integer"):
        load_settings()


def test_list_in_the_environment_that_is_no_list_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = f"{ENV_PREFIX}NOTIFICATIONS__EMAIL_TO"
    monkeypatch.setenv(variable, "ada@example.com")
    with pytest.raises(ConfigError, match=rf"^environment variable {variable} = 'ada@example.com': a list is written"):
        load_settings()
    monkeypatch.setenv(variable, '["ada@example.com"]')
    assert load_settings().notifications.email_to == ["ada@example.com"]


@pytest.mark.parametrize("url", ["hooks.example.com/s3cret", "ftp://h/s3cret", "https:///s3cret", "http://h:s3cret/"])
def test_webhook_that_is_no_url_is_refused_and_never_shown(home: Path, monkeypatch, url: str) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}NOTIFICATIONS__WEBHOOK_URL", url)
    with pytest.raises(ConfigError, match=r"\[notifications\] webhook_url = \.\.\.: not a URL") as refused:
        load_settings()
    assert "s3cret" not in str(refused.value)


def test_webhook_is_not_shown_with_the_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}NOTIFICATIONS__WEBHOOK_URL", "https://user:s3cret@hooks.example.com/s3cret")
    settings = load_settings()
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_unknown_variable_with_our_prefix_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__TIPE", "3")
    with pytest.raises(
        ConfigError,
        match=rf"{ENV_PREFIX}MODEL__TIPE: no such setting; did you mean {ENV_PREFIX}MODEL__TYPE\? allowed: ",
    ):
        load_settings()


def test_entry_of_a_table_may_have_a_variable_of_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__METRICS__ROC_AUC__MAX", "0.9")
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__PARAMETERS__MAX_ITER", "7")
    settings = load_settings(overrides={"gates": {"metrics": {"calibration_error": {"max": 0.2}}}})
    assert settings.gates.metrics == {"roc_auc": Limits(min=0.6, max=0.9), "calibration_error": Limits(max=0.2)}
    assert settings.model.parameters == {"min_samples_leaf": 90, "max_iter": "7"}
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__SEED__X", "1")
    with pytest.raises(ConfigError, match=f"{ENV_PREFIX}TRAINING__SEED__X: no such setting"):
        load_settings()


def test_command_within_another_project_is_refused(home: Path, tmp_path_factory, monkeypatch) -> None:
    check_working_folder()
    other = tmp_path_factory.mktemp("other")
    write_toml(other)
    (other / "src").mkdir()
    monkeypatch.chdir(other / "src")
    with pytest.raises(ConfigError, match=f"_HOME is {home}, and this folder belongs to the project in {other}"):
        check_working_folder()
    monkeypatch.delenv(HOME_VARIABLE)
    check_working_folder()
    assert load_settings().home == other


def test_variable_that_only_looks_like_ours_is_left_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}SERVICE_HOST", "10.0.0.1")
    load_settings()


def test_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    with pytest.raises(ConfigError, match=f"no pipeline.toml in {tmp_path}"):
        load_settings()


def test_digest_changes_with_what_shapes_a_model_only(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_settings().digest
    monkeypatch.setenv(f"{ENV_PREFIX}SCHEDULE__CRON", "0 7 1 * *")
    assert load_settings().digest == before
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__PARAMETERS__MAX_ITER", "7")
    assert load_settings().digest != before


NO_SECTIONS = {"home", "name", "environment"}


def test_every_setting_is_described() -> None:
    sections = {name: field.annotation for name, field in Settings.model_fields.items() if name not in NO_SECTIONS}
    described = {
        f"[{name}] {key}": field.description
        for name, kind in sections.items()
        for key, field in kind.model_fields.items()
    }
    assert len(described) > 70
    assert [key for key, description in described.items() if not description] == []


@pytest.mark.parametrize(
    ("uri", "used", "shown"),
    [
        ("https://ada:k%2F%40@mlflow.example.com/base", "https://mlflow.example.com/base", ""),
        ("https://mlflow.example.com/p@q", "https://mlflow.example.com/p@q", ""),
        ("postgresql://ada:secret@db/mlflow", "postgresql://ada:secret@db/mlflow", "postgresql://db/mlflow"),
        ("sqlite:////home/ada@work/mlflow.db", "sqlite:////home/ada@work/mlflow.db", ""),
        ("http://[ada:secret@mlflow", "http://[ada:secret@mlflow", "http://mlflow"),
    ],
)
def test_mlflow_gets_its_login_by_its_variables_and_the_address_has_none(
    project: Path, monkeypatch: pytest.MonkeyPatch, uri: str, used: str, shown: str
) -> None:
    login = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    for name in login:
        monkeypatch.setenv(name, "of the shell")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    settings = load_settings()
    assert (settings.tracking_uri, settings.tracking_address) == (used, shown or used)
    assert os.environ["MLFLOW_TRACKING_URI"] == used
    found = tuple(os.environ[name] for name in login)
    assert found == (("ada", "k/@") if uri.startswith("https://ada") else ("of the shell", "of the shell"))
    assert load_settings() == settings


def test_password_is_in_no_error_of_mlflow(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:pa55word@127.0.0.1:9")
    with pytest.raises(MlflowException, match=r"http://127.0.0.1:9") as failed:
        MlflowClient(load_settings().tracking_uri).search_experiments()
    assert "pa55word" not in str(failed.value)
