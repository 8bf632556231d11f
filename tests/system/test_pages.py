"""The pages of `make up` in a real browser: a release from its approval to its rollback, as a person goes through it.

The tests build on each other, in the order of the file: each goes on with the champion that the one before has left.
`test_stack.py` goes on with the stack.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bakes import BakedProject
from live_project import PATIENCE_S, Stack, fetch, find_browser, session_of, wait_until

pytestmark = pytest.mark.slow

DAG = "flight_delays_training"
FIRST, SECOND = "2013-02", "2013-03"  # each period gives a model of its own that passes


class Trigger:
    """A `make trigger` that goes on in the background."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def output(self) -> str:
        """What it has printed."""
        return self.log.read_text()

    def wait_for(self, pattern: str) -> str:
        """The first group of a pattern, once it is printed."""

        def find() -> str | None:
            if found := re.search(pattern, self.output):
                return found[1]
            assert self.process.poll() is None, self.output
            return None

        found: str = wait_until(f"make trigger prints {pattern!r}", find)
        return found

    def page_to_answer(self) -> str:
        """Where it sends the person, once the run waits for one."""
        return self.wait_for(r"waits for an answer: .*(http\S+)")

    def run_id(self) -> str:
        """Id of the run."""
        return unquote(self.wait_for(r"/runs/([^/\s]+)"))

    def ended(self) -> int:
        """Its exit code, once it has one."""
        return self.process.wait(300)


Command = Callable[..., "subprocess.CompletedProcess[str]"]
StartTraining = Callable[[str], Trigger]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = find_browser()
    if executable is None:
        # Where nobody looks at what was skipped, a missing browser must not pass for a tested page.
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium or Chrome on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def project(installed: BakedProject) -> BakedProject:
    """The project of the shared stack."""
    return installed


@pytest.fixture(scope="module")
def live(browser: Browser, project: BakedProject, shared_stack: Stack) -> Iterator[Stack]:
    """The project, up, where each release asks a person."""
    assert browser.is_connected()
    with changed(project, 'approval = "never"', 'approval = "always"'):
        yield shared_stack
    assert project.run("git", "status", "--porcelain").stdout == ""


@contextmanager
def changed(project: BakedProject, old: str, new: str) -> Iterator[None]:
    """Another setting in pipeline.toml, which each task reads anew, until the block ends."""
    settings = project.path / "pipeline.toml"
    text = settings.read_text()
    assert old in text
    settings.write_text(text.replace(old, new))
    try:
        yield
    finally:
        settings.write_text(text)


@pytest.fixture(scope="module")
def airflow(browser: Browser, project: BakedProject, live: Stack) -> Page:
    """A window in which a person has logged in to Airflow with the generated password."""
    page = new_page(browser)
    page.goto(live.airflow)
    expect(page).to_have_url(re.compile("/auth/login"))
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill("admin")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Invalid credentials")).to_be_visible()
    [password] = json.loads((project.path / "var" / "stack" / "passwords.json").read_text()).values()
    page.locator("input[name=password]").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
    return page


@pytest.fixture
def command(project: BakedProject, live: Stack) -> Command:
    """Run a command of the project, or of make, as the person who has called `make up`."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        program = [] if words[0] == "make" else [project.command]
        return project.run(*program, *words, **live.environment)

    return run


@pytest.fixture
def trigger(project: BakedProject, live: Stack, tmp_path: Path) -> Iterator[StartTraining]:
    """Start training with a period held out; returns at once."""
    started: list[subprocess.Popen[bytes]] = []

    def start(period: str) -> Trigger:
        log = tmp_path / "trigger.log"
        # By force, since the version of this period may have been taken back.
        words = ["make", "trigger", f"ARGS=--period {period} --force --reason 'a new period'"]
        with log.open("wb") as file:
            started.append(
                subprocess.Popen(words, cwd=project.path, env=live.environment, stdout=file, stderr=subprocess.STDOUT)
            )
        return Trigger(started[-1], log)

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait()


def new_page(browser: Browser) -> Page:
    context = browser.new_context(viewport={"width": 1500, "height": 1000}, locale="en-GB", timezone_id="UTC")
    context.set_default_timeout(1000 * PATIENCE_S)
    expect.set_options(timeout=1000 * PATIENCE_S)
    return context.new_page()


def predict(live: Stack) -> tuple[str, list[float]]:
    """The version that answers, and what it says of the contract's example at each hour of a day."""
    [example, _] = fetch(f"{live.api}/openapi.json")["paths"]["/predict"]["post"]["requestBody"]["content"][
        "application/json"
    ]["examples"].values()
    rows = [{**example["value"], "scheduled_departure": f"2013-07-03T{hour:02}:15:00"} for hour in range(5, 24)]
    answer = fetch(f"{live.api}/predict", rows)
    return answer["model_version"], [each["probability"] for each in answer["predictions"]]


def wait_for_version(live: Stack, version: str) -> None:
    """Wait until the API, which asks every 2 s, answers with a version."""
    wait_until(f"the API answers with version {version}", lambda: predict(live)[0] == version)


def wait_for_end_of_process(project: BakedProject, live: Stack, run_id: str, task: str) -> None:
    """Wait until no process works on a task: Airflow loses an answer while the one that has asked still runs."""
    url = f"{live.airflow}/api/v2/dags/{DAG}/dagRuns/{quote(run_id)}/taskInstances/{task}"
    instance = fetch(url, token=live.token)["id"]  # which is in the titles of the processes

    def has_ended() -> bool:
        with suppress(psutil.Error):  # one that ends meanwhile
            return not any(instance in " ".join(each.cmdline()) for each in session_of(project.path))
        return False

    wait_until(f"the process of {task} has ended", has_ended)


def champion_in_mlflow(browser: Browser, live: Stack) -> str:
    """The version that the registry's page shows as the champion."""
    page = new_page(browser)
    page.goto(f"{live.mlflow}/#/models/flight-delays")
    row = page.get_by_role("row").filter(has=page.get_by_role("status", name="champion", exact=True))
    version = row.get_by_role("link", name=re.compile(r"^Version \d+$")).inner_text()
    page.context.close()
    return version.removeprefix("Version ")


def tags_of(live: Stack, run_id: str) -> dict[str, str]:
    """Tags of the MLflow run of a training run."""
    body = {"experiment_ids": ["1"], "filter": f"tags.pipeline_run = '{run_id}'"}
    [run] = fetch(f"{live.mlflow}/api/2.0/mlflow/runs/search", body)["runs"]
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


def test_model_is_approved_in_the_browser(browser: Browser, airflow: Page, live: Stack, trigger: StartTraining) -> None:
    first = trigger(FIRST)
    airflow.goto(f"{live.airflow}/dags/{DAG}/runs/{quote(first.run_id())}")
    expect(airflow.get_by_role("link", name="ingest").last).to_be_visible()
    to_answer = first.page_to_answer()

    airflow.goto(f"{live.airflow}/required_actions")
    question = airflow.get_by_role("link", name=f"Release the model that was measured on {FIRST}, the first of all?")
    question.click()
    expect(airflow.get_by_role("heading", name="Verdict")).to_be_visible()
    assert unquote(airflow.url) == unquote(to_answer)
    assert first.process.poll() is None
    with pytest.raises(urllib.error.HTTPError, match="503") as not_ready:
        fetch(f"{live.api}/ready")
    not_ready.value.close()
    for heading in ("To look at", "Champion and challenger", "Verdict", "Figures", "By slice"):
        expect(airflow.get_by_role("heading", name=heading)).to_be_visible()
    expect(airflow.get_by_text("this is the first release: there is no champion to compare with")).to_be_visible()
    expect(airflow.get_by_role("row", name="not worse than the champion pass")).to_be_visible()
    expect(airflow.get_by_role("row", name=re.compile("^the baseline, of all training rows "))).to_be_visible()
    expect(airflow.get_by_role("row", name=re.compile("^carrier = AA "))).to_be_visible()
    assert_shows_run(browser, airflow.get_by_role("link", name="this run").get_attribute("href"), FIRST)

    answer(airflow, "Approve", "looks right")
    assert first.ended() == 0, first.output
    assert re.search(r"✓ \S+ +approve .* approved by admin: looks right\n", first.output), first.output
    assert "Released   version 1 is the champion" in first.output
    assert f"MLflow     {live.mlflow}/#/experiments/1/runs/" in first.output
    assert champion_in_mlflow(browser, live) == "1"
    wait_for_version(live, "1")


def assert_shows_run(browser: Browser, link: str | None, period: str) -> None:
    """Follow a link into MLflow and find the run there."""
    assert link
    page = new_page(browser)
    page.goto(link)
    expect(page.get_by_text("gain_over_baseline", exact=True).first).to_be_visible()
    expect(page.get_by_text(re.compile(rf"^ROC-AUC .* on {period}; accepted$")).first).to_be_visible()
    page.context.close()


def answer(page: Page, button: str, reason: str) -> None:
    """Fill in the reason and press a button."""
    page.get_by_role("group").filter(has_text="Reason").get_by_role("textbox").fill(reason)
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_text("response successful")).to_be_visible()


def test_example_of_the_api_page_works_without_the_internet(browser: Browser, live: Stack) -> None:
    page = new_page(browser)
    asked_for: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked_for.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(f"{live.api}/docs")
    page.get_by_text("/predict").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status")).to_have_text(re.compile("^200"))
    expect(page.locator(".live-responses-table")).to_contain_text('"model_version": "1"')
    elsewhere = [url for url in asked_for if not url.startswith((live.api, "data:", "blob:"))]
    assert elsewhere == []
    assert complaints == []  # such as of a Content-Security-Policy that the page does not keep
    page.context.close()
    assert 'path="/predict"' in fetch(f"{live.api}/metrics")
    assert "static" not in fetch(f"{live.api}/metrics")  # a label for each name that somebody asks for would never end


def test_state_is_a_page_that_loads_nothing_else_and_can_be_written_to_a_file(
    browser: Browser,
    live: Stack,
    command: Command,
) -> None:
    wait_for_first_page(browser, live)
    page = new_page(browser)
    asked_for: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked_for.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(f"{live.api}/")
    expect(page.get_by_role("heading", name="Champion", exact=True)).to_be_visible()
    expect(page.locator("body")).to_have_css("font-size", "15px")  # by the page's own style
    assert [url for url in asked_for if not url.startswith("data:")] == [f"{live.api}/"]
    assert complaints == []
    page.goto(Path(command("make", "report").stdout.strip()).as_uri())
    expect(page.get_by_role("heading", name="Champion", exact=True)).to_be_visible()
    for name in ("calibration: observed share by predicted probability", "permutation importance of the features"):
        expect(page.get_by_role("img", name=name)).to_be_visible()
    assert_readable_on_a_phone_and_in_the_dark(page)
    page.context.close()


def wait_for_first_page(browser: Browser, live: Stack) -> None:
    """The API builds its first page in the background, and says so to whoever asks meanwhile."""
    page = new_page(browser)
    champion = page.get_by_role("heading", name="Champion", exact=True)

    def is_built() -> bool:
        page.goto(f"{live.api}/")
        return champion.count() > 0

    wait_until("the first page is built", is_built)
    page.context.close()


def assert_readable_on_a_phone_and_in_the_dark(page: Page) -> None:
    """The page itself does not scroll to the side, and texts of figures take the page's colour."""
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    text = page.locator("svg text").first
    page.emulate_media(color_scheme="light")
    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(text).to_have_css("fill", "rgb(28, 39, 51)")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("body")).to_have_css("background-color", "rgb(20, 25, 30)")
    expect(text).to_have_css("fill", "rgb(223, 229, 234)")


def test_release_is_taken_back_and_the_old_predictions_are_back(
    browser: Browser,
    project: BakedProject,
    live: Stack,
    trigger: StartTraining,
    command: Command,
) -> None:
    _, before = predict(live)
    second = trigger(SECOND)
    path = f"{live.airflow}/api/v2/dags/{DAG}/dagRuns/{quote(second.run_id())}/taskInstances/approve/-1/hitlDetails"
    second.page_to_answer()
    wait_for_end_of_process(project, live, second.run_id(), "approve")
    fetch(path, {"chosen_options": ["Approve"], "params_input": {"reason": "by REST"}}, live.token, "PATCH")
    assert second.ended() == 0, second.output
    assert "approved by admin: by REST" in second.output
    wait_for_version(live, "2")
    assert predict(live)[1] != before
    assert champion_in_mlflow(browser, live) == "2"

    taken_back = command("make", "rollback", "ARGS=--reason 'too many false alarms'")
    assert "version 1 is the champion again, instead of 2" in taken_back.stdout, taken_back.stderr
    wait_for_version(live, "1")
    assert predict(live) == ("1", before)
    assert champion_in_mlflow(browser, live) == "1"
    history = json.loads(command("history", "--json").stdout)
    assert [(entry["action"], entry["to_version"], entry["approved_by"]) for entry in history] == [
        ("deploy", "1", "admin"),
        ("deploy", "2", "admin"),
        ("rollback", "1", history[-1]["approved_by"]),
    ]
    assert history[-1]["reason"] == "too many false alarms"


def test_rejected_run_fails_and_the_champion_stays(
    browser: Browser,
    live: Stack,
    trigger: StartTraining,
    command: Command,
) -> None:
    third = trigger(SECOND)
    third.page_to_answer()
    rejected = command("reject", "--reason", "too close to call")
    assert rejected.returncode == 0, rejected.stderr
    assert third.ended() != 0
    assert "rejected by admin: too close to call; the champion stays" in third.output, third.output
    assert "the champion is still version 1" in third.output
    tags = tags_of(live, third.run_id())
    assert (tags["approval"], tags["answered_by"], tags["answer_reason"]) == ("rejected", "admin", "too close to call")
    assert champion_in_mlflow(browser, live) == "1"
    assert predict(live)[0] == "1"


def test_no_answer_in_time_is_a_no(project: BakedProject, live: Stack, trigger: StartTraining) -> None:
    with changed(project, 'approval = "always"', 'approval = "always"\napproval_timeout_hours = 0.003'):
        fourth = trigger(SECOND)
        assert fourth.ended() != 0
    assert "rejected by nobody, in 0:00:10" in fourth.output, fourth.output
    assert tags_of(live, fourth.run_id())["approval"] == "rejected"
    assert predict(live)[0] == "1"


def test_model_is_approved_by_the_command(live: Stack, trigger: StartTraining, command: Command) -> None:
    nothing = command("approve", "--reason", "too early")
    assert "no run waits for an answer" in nothing.stderr
    fifth = trigger(SECOND)
    fifth.page_to_answer()
    assert command("approve", "--reason", "now it is").returncode == 0
    assert fifth.ended() == 0, fifth.output
    assert "approved by admin: now it is" in fifth.output
    assert "version 3 is the champion, instead of 1" in fifth.output
    wait_for_version(live, "3")
