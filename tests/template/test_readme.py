"""Tests run each command that the READMEs and the pages of the site show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bakes import REPOSITORY, Bake
from documents import Step, steps_of

PAGES = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]

# Each command of the template's own pages, and the test that runs it, or does what it does.
TEMPLATE = {
    "uvx cookiecutter <this repository>": "test_user_path_with_uvx",
    "cd flight-delays": "test_user_path_with_uvx",
    "make run": "test_user_path_with_uvx",
    "make demo": "test_demo_on_a_new_machine_ends_in_a_deployed_model",
    "make test": "this run",
    "make test-fast": "this run",
    "make test-all": "this run, at night",
    "make check": "this run",
    "make fix": "ruff, as in `make check`",
    "make bench": "test_every_command_has_a_smoke_run",
    "make screenshots": "by hand, for its pictures",
    "make docs": "test_site_has_every_page_and_the_reference_and_needs_no_network",
    "make docs-links": "test_site_has_every_page_and_the_reference_and_needs_no_network",
    "make lock": "test_resolving_again_changes_no_pin",
    "make release VERSION=2.0.0": "test_the_template_itself_is_released_once_its_checks_pass",
    "uvx cruft create <this repository>": "test_a_project_records_its_answers_and_the_version_of_its_template",
    "uvx cruft check": "test_check_shows_whether_there_is_a_newer_version",
    "uvx cruft update --skip-apply-ask": "test_update_takes_what_the_template_has_changed_added_and_removed",
    "git status --short": "test_the_same_line_changed_by_both_is_a_conflict_in_git_with_both_lines_marked",
}
# Of the project's README.
PROJECT = {
    "make run": "test_demo_on_a_new_machine_ends_in_a_deployed_model",
    ".venv/bin/flight-delays run --without-airflow": "test_plain_run_gives_the_model_and_figures_of_the_dag_run",
    ".venv/bin/flight-delays --help": "test_every_command_of_the_project_explains_itself",
    ".venv/bin/flight-delays adopt customers.csv --target churned": "test_example_of_the_readme",
    ".venv/bin/flight-delays import customers-november.csv --period 2026-11": "test_example_of_the_readme",
    "uvx cruft check": "test_check_shows_whether_there_is_a_newer_version",
    "uvx cruft update --skip-apply-ask": "test_update_takes_what_the_template_has_changed_added_and_removed",
    "git status --short": "test_the_same_line_changed_by_both_is_a_conflict_in_git_with_both_lines_marked",
}
# Of the site's pages about a project.
IN_A_PROJECT = {
    "docker tag flight-delays flight-delays:local": "by hand, with the stack of Compose",
    "make compose": "by hand, with Docker; test_compose.py reads its file",
    'make tune ARGS="--trials 20"': "test_tuning_shows_every_model_type_and_releases_nothing",
    "make setup": "test_demo_on_a_new_machine_ends_in_a_deployed_model",
    "make up": "test_up_again_changes_nothing_and_prints_no_password",
    "make trigger": "test_models_are_the_same_through_the_server_and_from_the_file",
    "make status": "test_status_shows_each_process",
    "make down": "test_down_and_up_do_the_right_thing_after_supervisord_was_killed",
    "make backtest": "test_each_period_is_replayed_and_shown",
    ".venv/bin/flight-delays backtest --without-airflow --policy frozen "
    "--policy retraining.every_periods=1,training.window=3": ("test_challenger_that_forgot_the_winter_is_refused"),
    ".venv/bin/flight-delays simulate-drift 2013-06 --column delayed --flip 0.4": (
        "test_period_that_arrives_changed_shows_its_alarms"
    ),
    ".venv/bin/flight-delays adopt customers.csv --target churned": "test_example_of_the_readme",
    ".venv/bin/flight-delays import customers-november.csv --period 2026-11": "test_example_of_the_readme",
    "python3 -m venv .venv": "test_lock_installs_with_plain_pip",
    ".venv/bin/pip install --require-hashes -r requirements.lock": "test_lock_installs_with_plain_pip",
    ".venv/bin/pip install --no-deps --no-build-isolation -e vendor/modelworks -e .": (
        "test_lock_installs_with_plain_pip"
    ),
    ".venv/bin/flight-delays airflow backfill create --dag-id flight_delays_ingestion "
    "--from-date 2013-02-01 --to-date 2013-12-01 --max-active-runs 1": (
        "test_backfill_runs_each_period_once_and_in_order"
    ),
    'uvx cruft update --skip-apply-ask --variables-to-update \'{"frameworks": "scikit-learn, lightgbm"}\'': (
        "test_a_framework_comes_later_by_another_answer_and_goes_again"
    ),
    "uvx cruft diff": "test_diff_shows_what_the_team_has_changed_of_what_is_not_its_own",
    "git diff HEAD": "test_the_same_line_changed_by_both_is_a_conflict_in_git_with_both_lines_marked",
    "git reset --hard": "test_the_same_line_changed_by_both_is_a_conflict_in_git_with_both_lines_marked",
    "git clean -d --force": "test_the_same_line_changed_by_both_is_a_conflict_in_git_with_both_lines_marked",
    "uvx cruft link <address of the template> --checkout v2.0.0": (
        "test_a_project_of_plain_cookiecutter_is_linked_by_the_same_answers"
    ),
    "make image": "by hand, with Docker",
    'docker run --rm -v flight-delays-var:/app/var -v "$PWD/data:/app/data:ro" flight-delays '
    "flight-delays run --without-airflow": ("by hand, with Docker"),
    "docker run --rm -v flight-delays-var:/app/var flight-delays flight-delays api-keys add me "
    "--scopes predict,explain,read": "by hand, with Docker",
    "docker run --rm -v flight-delays-var:/app/var -p 127.0.0.1:8000:8000 flight-delays-api": "by hand, with Docker",
    "kubectl apply --namespace team --filename var/kubeflow/environment.yaml": (
        "test_config_map_of_the_page_is_valid_and_has_what_a_pod_waits_for"
    ),
    "kubectl create secret generic flight-delays --namespace team --from-env-file secrets.env": "not run: no cluster",
    ".tools/kubeflow/bin/kfp --endpoint http://kubeflow.example.com --namespace team run create "
    "--experiment-name flight-delays --package-file var/kubeflow/pipeline.yaml period=2013-06": (
        "test_options_of_the_page_are_those_of_kfp"
    ),
    'flight-delays approve --run 3efd504e9c9f42a3bafc648d66d04c77 --reason "checked the slices"': (
        "test_release_waits_for_a_person_who_approves_by_the_command_line"
    ),
    "flight-delays deploy --run 3efd504e9c9f42a3bafc648d66d04c77": (
        "test_release_waits_for_a_person_who_approves_by_the_command_line"
    ),
    "docker tag flight-delays registry.example.com/flight-delays:0.1.0": "by hand, with Docker",
    "docker push registry.example.com/flight-delays:0.1.0": "by hand, with Docker",
    "kubectl create namespace flight-delays-dev": "not run: no cluster",
    "kubectl --namespace flight-delays-dev create secret generic flight-delays-store --from-env-file store.env": (
        "test_secrets_of_the_page_are_those_that_the_charts_read"
    ),
    "kubectl --namespace flight-delays-dev create secret generic flight-delays-mlflow --from-env-file mlflow.env": (
        "test_secrets_of_the_page_are_those_that_the_charts_read"
    ),
    "kubectl --namespace flight-delays-dev create secret generic flight-delays-airflow --from-env-file airflow.env": (
        "test_secrets_of_the_page_are_those_that_the_charts_read"
    ),
    "kubectl --namespace flight-delays-dev create secret generic flight-delays-api-keys --from-file api-keys.json": (
        "test_secrets_of_the_page_are_those_that_the_charts_read"
    ),
    "cd deploy/kubernetes": "test_installation_of_the_page_has_the_files_that_the_tests_render",
    "helm upgrade --install flight-delays modelworks --namespace flight-delays-dev --values "
    "values/modelworks.yaml --values values/modelworks-dev.yaml": (
        "test_installation_of_the_page_has_the_files_that_the_tests_render"
    ),
    "helm upgrade --install airflow airflow --repo https://airflow.apache.org --version 1.22.0 "
    "--namespace flight-delays-dev --set-file podTemplate=pod-template.yaml --values values/airflow.yaml "
    "--values values/airflow-dev.yaml": ("test_installation_of_the_page_has_the_files_that_the_tests_render"),
    "kubectl --namespace flight-delays-dev exec --stdin --tty deployment/airflow-scheduler -- airflow "
    "users create --role Admin --username ada --email ada@example.com --firstname Ada --lastname Lovelace": (
        "not run: no cluster"
    ),
    "kubectl --namespace flight-delays-dev port-forward service/airflow-api-server 8080:8080": ("not run: no cluster"),
}


# Pages whose shell commands nobody has run, for want of an account; they say so in these words.
NEVER_RUN = {"docs/how-to/run-on-aws.md": "Never deployed: no account of AWS was there"}

ADDED = "test_what_is_added_to_a_project_works_and_is_clean"
# Pages whose every step is taken, and the test that takes them.
FOLLOWED = {
    "docs/story.md": "test_five_steps_lead_from_a_local_model_to_a_loop_that_closes",
    "docs/how-to/fork.md": "test_fork_keeps_up_with_the_template_and_its_projects_with_the_fork",
    "docs/how-to/company-defaults.md": "test_defaults_of_a_company_are_in_its_projects",
    "docs/how-to/add-a-prompt.md": "test_answer_to_a_new_prompt_decides_about_a_file",
    "docs/how-to/add-a-feature.md": ADDED,
    "docs/how-to/add-a-model-type.md": ADDED,
    "docs/how-to/add-a-check.md": ADDED,
    "docs/how-to/check-fairness.md": ADDED,
    "docs/how-to/explain-a-prediction.md": ADDED,
    "docs/how-to/release-in-steps.md": ADDED,
    "docs/how-to/add-a-source.md": ADDED,
    "docs/how-to/who-gets-in.md": ADDED,
    "docs/how-to/add-a-notifier.md": ADDED,
    "docs/how-to/add-a-stage.md": ADDED,
    "docs/how-to/describe-your-data.md": ADDED,
    "docs/how-to/use-your-own-table.md": ADDED,
    "docs/how-to/patch-the-engine.md": ADDED,
    "docs/how-to/eject-a-project.md": ADDED,
    "docs/how-to/publish-the-engine.md": "test_project_runs_with_an_engine_from_an_index",
    "docs/how-to/use-postgresql.md": "test_page_about_postgresql_leads_to_its_periods",
    "docs/how-to/when-one-machine-is-too-small.md": "test_page_about_spark_leads_to_counts_from_the_workers",
    "docs/how-to/run-on-a-cluster.md": "test_pod_of_each_task_is_valid",
    "docs/how-to/run-on-kubernetes.md": "test_canary_of_the_page_is_a_value_of_the_chart",
    "docs/how-to/start-by-a-message.md": "test_message_starts_the_ingestion_of_its_period",
    "docs/how-to/run-on-kubeflow.md": "test_page_leads_to_a_pipeline_that_git_does_not_see_and_kfp_loads",
    "docs/how-to/observe.md": "test_page_about_observing_leads_to_figures_in_prometheus_and_to_lineage",
    "docs/how-to/run-on-aws.md": "test_nothing_is_looked_up_in_an_account_and_no_stack_is_deleted_by_mistake",
    "docs/how-to/dev-staging-prod.md": "test_page_about_environments_leads_from_staging_to_prod",
    "docs/how-to/use-s3.md": "test_page_about_s3_leads_to_periods_in_a_bucket",
}
# The Python of the project's README, and the tests that execute it.
EXECUTED = {
    "Add a feature": "test_feature_of_the_readme_adds_its_column",
    "Add a model type": "test_model_type_of_the_readme_fits_and_predicts",
}
# What a block may be beside steps and commands; the README's own first picture of a run is one of text.
NOTHING_TO_TYPE = {"json", "mermaid", "text", "toml", "{include}", "{toctree}"}


def commands_of(page: Path) -> list[str]:
    """Lines of the shell blocks, continued lines joined, comments left out."""
    blocks = [step.text for step in steps_of(page) if step.language == "sh"]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [" ".join(re.sub(r" #.*", "", line).split()) for line in lines if line.strip()]


def steps_to_take(page: Path) -> list[Step]:
    """Blocks that somebody has to follow, whatever they are called."""
    return [
        step
        for step in steps_of(page)
        if step.language not in NOTHING_TO_TYPE | {"sh"} or step.file or "$ " in step.text
    ]


def defined_tests() -> set[str]:
    """Names of the template's test functions."""
    files = (REPOSITORY / "tests").rglob("test_*.py")
    return set(re.findall(r"def (test_\w+)", "\n".join(file.read_text() for file in files)))


@pytest.mark.parametrize("covered", [TEMPLATE, PROJECT, IN_A_PROJECT, FOLLOWED, EXECUTED])
def test_every_command_names_a_test_that_exists(covered: dict[str, str]) -> None:
    assert {name for name in covered.values() if name.startswith("test_")} <= defined_tests()


def test_every_command_of_the_template_s_pages_is_covered() -> None:
    never_run = {REPOSITORY / name for name in NEVER_RUN}
    named = {command for page in PAGES if page not in never_run for command in commands_of(page)}
    assert named - (TEMPLATE.keys() | IN_A_PROJECT.keys()) == set()
    assert (TEMPLATE.keys() | IN_A_PROJECT.keys()) - named == set()


def test_every_command_of_the_generated_pages_is_covered(bake: Bake) -> None:
    project = bake()
    pages = [file for file in project.own_files if file.suffix == ".md"]
    assert {project.path / "README.md", project.path / "data" / "README.md"} <= set(pages)
    assert {command for page in pages for command in commands_of(page)} == PROJECT.keys()
    steps = [step for page in pages for step in steps_to_take(page)]
    assert [step.place for step in steps if not step.place.startswith("README.md:")] == []
    assert [(step.language, step.file) for step in steps] == [("python", "")] * len(EXECUTED)


@pytest.mark.parametrize("page", NEVER_RUN)
def test_page_whose_commands_were_never_run_says_so(page: str) -> None:
    assert commands_of(REPOSITORY / page)
    assert NEVER_RUN[page] in (REPOSITORY / page).read_text(encoding="utf-8")


def test_every_page_with_steps_is_followed() -> None:
    with_steps = [page for page in PAGES if steps_to_take(page)]
    assert {str(page.relative_to(REPOSITORY)) for page in with_steps} == FOLLOWED.keys()


def test_every_command_of_the_project_is_listed_by_make_help(bake: Bake) -> None:
    project = bake()
    listed = re.findall(r"^  make (\S+)", project.run("make", "help").stdout, re.MULTILINE)
    table = re.findall(r"^\|.*\|$", (project.path / "README.md").read_text(), re.MULTILINE)
    named = re.findall(r"`make (\w+)", "\n".join(table))
    assert {"run", "tune", "backtest", "image"} <= set(named) <= set(listed)
    assert {"run", "test", "check", "fix", "status", "lock", "audit", "image"} <= set(listed)
    assert len(listed) == len(set(listed)) <= 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_pictures_links_and_figures_are_there(page: Path) -> None:
    assert not re.search(r"@[A-Z]+@", page.read_text())
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).is_file(), target
