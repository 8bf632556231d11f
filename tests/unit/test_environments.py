"""Environments: files on top of pipeline.toml, and what they refuse."""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelworks.backtest.sandbox import make_sandbox
from modelworks.checks import Check
from modelworks.cli.app import app
from modelworks.errors import ConfigError
from modelworks.registry.policy import check_policy, judge_code, judge_settings
from modelworks.settings import ENV_PREFIX, ENVIRONMENT_VARIABLE, HOME_VARIABLE, Settings, load_settings
from modelworks.settings.environments import merge_tables

PIPELINE = """
[source]
uri = "data/flights-{period}.csv.gz"
first = "2013-01"
null_values = ["", "NA"]

[training]
seed = 1
threads = 1
max_rows = 1

[gates]
approval = "never"

[gates.metrics]
roc_auc = { min = 0.6, max = 0.85 }

[tracking]
registry = "base"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with two environments; none is chosen."""
    for name in list(os.environ):
        if name.startswith(ENV_PREFIX) or name in {"MLFLOW_TRACKING_URI", "GIT_COMMIT"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "")  # so that what a command or .env sets is taken back
    (tmp_path / "pipeline.toml").write_text(PIPELINE, encoding="utf-8")
    write_environment(tmp_path, "staging", "[training]\nseed = 2\n")
    write_environment(tmp_path, "prod", "")
    factory = logging.getLogRecordFactory()
    yield tmp_path
    logging.setLogRecordFactory(factory)


def write_environment(home: Path, name: str, text: str) -> None:
    (home / "environments").mkdir(exist_ok=True)
    (home / "environments" / f"{name}.toml").write_text(text, encoding="utf-8")


def load_in(environment: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, environment)
    return load_settings()


def test_none_is_chosen_by_default(home: Path) -> None:
    settings = load_settings()
    assert (settings.environment, settings.within, settings.training.seed) == ("", "", 1)


def test_its_file_lies_on_top_of_pipeline_toml_key_by_key(home: Path, monkeypatch) -> None:
    write_environment(
        home,
        "staging",
        '[source]\nnull_values = ["?"]\n[training]\nseed = 2\n[gates.metrics]\nroc_auc = { min = 0.7 }\n',
    )
    settings = load_in("staging", monkeypatch)
    assert (settings.environment, settings.within) == ("staging", " in staging")
    assert (settings.training.seed, settings.training.threads) == (2, 1)
    limits = settings.gates.metrics["roc_auc"]
    assert (limits.min, limits.max) == (0.7, 0.85)  # tables within tables are merged
    assert settings.source.null_values == ["?"]  # lists are replaced


def test_merging_changes_neither_side() -> None:
    below, over = {"a": {"b": 1, "c": [1]}, "d": 1}, {"a": {"c": [2]}, "d": {"e": 2}}
    assert merge_tables(below, over) == {"a": {"b": 1, "c": [2]}, "d": {"e": 2}}
    assert (below, over) == ({"a": {"b": 1, "c": [1]}, "d": 1}, {"a": {"c": [2]}, "d": {"e": 2}})


def test_each_source_wins_over_the_next_one(home: Path, monkeypatch) -> None:
    def registry_and_uri() -> tuple[str, str]:
        found = load_settings(overrides=given).tracking
        return found.registry, found.uri

    given: dict[str, dict[str, str]] = {}
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "staging")
    assert registry_and_uri() == ("base", "")
    write_environment(home, "staging", '[tracking]\nregistry = "file"\nuri = "http://file"\n')
    assert registry_and_uri() == ("file", "http://file")
    for name in ("REGISTRY", "URI"):  # so that what .env sets is taken back
        monkeypatch.setenv(variable := f"{ENV_PREFIX}TRACKING__{name}", "")
        monkeypatch.delenv(variable)
    (home / ".env").write_text(f"{ENV_PREFIX}TRACKING__REGISTRY=dotenv\n{ENV_PREFIX}TRACKING__URI=http://dotenv\n")
    assert registry_and_uri() == ("dotenv", "http://dotenv")
    monkeypatch.setenv(f"{ENV_PREFIX}TRACKING__REGISTRY", "shell")
    assert registry_and_uri() == ("shell", "http://dotenv")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow")
    assert registry_and_uri() == ("shell", "http://mlflow")
    given |= {"tracking": {"uri": "http://argument"}}
    assert registry_and_uri() == ("shell", "http://argument")


def test_dotenv_may_choose_and_the_shell_wins(home: Path, monkeypatch) -> None:
    (home / ".env").write_text(f"{ENVIRONMENT_VARIABLE}=staging\n")
    monkeypatch.delenv(ENVIRONMENT_VARIABLE)
    assert load_settings().environment == "staging"
    assert load_in("prod", monkeypatch).environment == "prod"
    assert load_in("", monkeypatch).environment == ""


@pytest.mark.parametrize(
    ("name", "said"), [("stagin", "did you mean staging? there are prod, staging"), ("../x", "there are")]
)
def test_unknown_environment_is_refused_with_those_that_exist(home: Path, monkeypatch, name: str, said: str) -> None:
    (home / "x.toml").touch()
    with pytest.raises(
        ConfigError, match=f"{ENVIRONMENT_VARIABLE} or --env = '{re.escape(name)}': no file.*{re.escape(said)}"
    ):
        load_in(name, monkeypatch)


def test_project_without_environments_says_how_to_write_one(home: Path, monkeypatch) -> None:
    for file in (home / "environments").iterdir():
        file.unlink()
    with pytest.raises(ConfigError, match="write it with what differs from pipeline"):
        load_in("prod", monkeypatch)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[training]\nsed = 1\n", r"environments/staging.toml: \[training\] sed: no such setting; did you mean seed\?"),
        ("[trainin]\nseed = 1\n", r"environments/staging.toml: \[trainin\]: no such setting; did you mean training\?"),
        ('[training]\nthreads = "x"\n', r"environments/staging.toml: \[training\] threads = 'x'"),
        ("[gates.metrics]\nroc_auc = { min = 0.9 }\n", r"environments/staging.toml: \[gates.metrics\] roc_auc"),
        ("[training]\nseed = 2\nspark_workers = 2\n", r"pipeline.toml with environments/staging.toml: \[training\]"),
        ("[training\n", r"environments/staging.toml: not valid TOML"),
    ],
)
def test_error_names_the_file_of_the_environment(home: Path, monkeypatch, text: str, said: str) -> None:
    write_environment(home, "staging", text)
    with pytest.raises(ConfigError, match=said):
        load_in("staging", monkeypatch)


def test_error_names_pipeline_toml_where_the_environment_does_not_say_it(home: Path, monkeypatch) -> None:
    (home / "pipeline.toml").write_text(PIPELINE.replace("threads = 1", 'threads = "x"'))
    with pytest.raises(ConfigError, match=r"^pipeline.toml: \[training\] threads"):
        load_in("staging", monkeypatch)


@pytest.mark.parametrize(
    "words", [["environments", "--env", "staging", "--json"], ["environments", "--json", "--env=staging"]]
)
def test_every_command_takes_the_option(home: Path, words: list[str]) -> None:
    (home / "pyproject.toml").write_text('[project]\nname = "p"\n[tool.modelworks]\nproject = "flights:FLIGHTS"\n')
    shown = CliRunner().invoke(app, words, catch_exceptions=False)
    assert '"chosen": "staging"' in shown.stdout
    assert os.environ[ENVIRONMENT_VARIABLE] == "staging"  # for the processes that the command starts
    for command in (["status"], ["step", "train"]):
        assert "--env" in CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"}).stdout


def test_log_lines_of_the_engine_name_it_and_those_of_others_do_not(home: Path, monkeypatch, caplog) -> None:
    load_in("prod", monkeypatch)
    with caplog.at_level(logging.INFO):
        logging.getLogger("modelworks.stages").info("%s: started", "train")
        logging.getLogger("elsewhere").info("hello")
    assert caplog.messages == ["[prod] train: started", "hello"]


def test_log_lines_are_as_ever_where_none_is_chosen(home: Path, caplog) -> None:
    load_settings()
    with caplog.at_level(logging.INFO):
        logging.getLogger("modelworks.stages").info("train: started")
    assert caplog.messages == ["train: started"]


REMOTE = (
    '[storage]\nuri = "s3://lake/store"\n[tracking]\nuri = "https://me:pa55@mlflow.example.com"\n'
    '[gates]\napproval = "always"\n'
)


def broken(checks: list[Check]) -> dict[str, bool]:
    """Whether each check that is not met is required."""
    return {check.name: check.fatal for check in checks if not check.passed}


def test_prod_requires_what_others_do_not(home: Path, monkeypatch) -> None:
    names = {"approval", "remote storage", "tracking server"}
    for environment in ("", "staging"):
        settings = load_in(environment, monkeypatch)
        assert broken(judge_settings(settings)) == dict.fromkeys(names, False)
        check_policy(settings, code=True)
    settings = load_in("prod", monkeypatch)
    assert broken(judge_settings(settings)) == dict.fromkeys(names, True)
    with pytest.raises(ConfigError) as refused:
        check_policy(settings)
    assert str(refused.value).startswith(
        'the environment prod refuses to go on: approval: [gates] approval = "never"; '
    )
    for key in ("require_approval", "require_remote_storage", "require_tracking_server"):
        assert f"or set [policy] {key} = false" in str(refused.value)
    write_environment(home, "prod", REMOTE)
    settings = load_in("prod", monkeypatch)
    check_policy(settings)
    assert "pa55" not in str(judge_settings(settings))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('[gates]\napproval = "never"\n', "approval"),
        ('[storage]\nuri = "var/data"\n', "remote storage"),
        ('[storage]\nuri = "file:///data"\n', "remote storage"),
        ('[tracking]\nuri = ""\n', "tracking server"),
        ('[tracking]\nuri = "sqlite:////tmp/mlflow.db"\n', "tracking server"),
        ('[tracking]\nuri = "http://127.0.0.1:5000"\n', "tracking server"),  # of `make up`, which shows the same file
    ],
)
def test_each_check_refuses_alone_and_can_be_switched_off(home: Path, monkeypatch, line: str, name: str) -> None:
    header = line.partition("\n")[0]
    text = re.sub(rf"{re.escape(header)}\n.*\n", line, REMOTE)
    assert text != REMOTE
    write_environment(home, "prod", text)
    with pytest.raises(ConfigError, match=f"refuses to go on: {name}: "):
        check_policy(load_in("prod", monkeypatch))
    switch = f"require_{name.replace(' ', '_')} = false"
    write_environment(home, "prod", f"{text}[policy]\n{switch}\n")
    check_policy(load_in("prod", monkeypatch))


def test_policy_may_be_demanded_without_an_environment(home: Path, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}POLICY__REQUIRE_APPROVAL", "true")
    with pytest.raises(ConfigError, match=r"^\[policy\] of pipeline.toml refuses to go on: approval: .*never"):
        check_policy(load_settings())


def git(home: Path, *words: str) -> None:
    name = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgSign=false"]
    subprocess.run(["git", *name, *words], cwd=home, check=True, capture_output=True)


def test_code_that_is_in_no_commit_is_refused(home: Path, monkeypatch) -> None:
    write_environment(home, "prod", REMOTE)
    settings = load_in("prod", monkeypatch)
    assert "in no git repository with a commit" in judge_code(settings).detail
    git(home, "init", "--quiet")
    assert "in no git repository with a commit" in judge_code(settings).detail
    git(home, "add", ".")
    git(home, "commit", "-m", "all")
    assert judge_code(settings).passed
    check_policy(settings, code=True)
    (home / "new.py").touch()  # which git does not know
    with pytest.raises(ConfigError, match=r"committed code: not committed: new\.py; commit it, or"):
        check_policy(settings, code=True)
    check_policy(settings)  # scores and monitoring do not ask
    monkeypatch.setenv("GIT_COMMIT", "abc")
    check_policy(settings, code=True)
    monkeypatch.setenv("GIT_COMMIT", "abc-dirty")
    with pytest.raises(ConfigError, match="GIT_COMMIT = 'abc-dirty' was made of changed files"):
        check_policy(settings, code=True)


def test_sandbox_has_the_settings_of_the_environment_but_neither_its_storage_nor_its_policy(
    home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch
) -> None:
    write_environment(home, "prod", f"{REMOTE}[training]\nseed = 3\n")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "prod")
    folder = tmp_path_factory.mktemp("sandbox")
    settings = make_sandbox(home, folder, {"training": {"threads": 2}})
    assert (settings.environment, settings.training.seed, settings.training.threads) == ("prod", 3, 2)
    again = load_settings(folder)  # as a process of its Airflow does, which knows no overrides
    for found in (settings, again):
        assert (found.storage.uri, found.tracking.uri, found.gates.approval) == ("var/data", "", "never")
        check_policy(found, code=True)


def test_environments_are_loaded_without_anything_heavy(home: Path) -> None:
    imports = "import sys; import modelworks; import modelworks.registry.policy"
    program = f"{imports}; modelworks.load_settings(); print(*sys.modules)"
    environment = os.environ | {ENVIRONMENT_VARIABLE: "staging"}
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert not set(printed.split()) & {"airflow", "mlflow", "pandas", "sklearn", "numpy"}
