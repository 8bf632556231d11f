"""Retake the pictures of README and docs: a project is generated, run and served, and Chromium looks at it.

Everything happens in a temporary folder; only `docs/images` is written. Takes about five minutes.
"""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, FloatRect, Locator, Page, ViewportSize, sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from live_project import BROWSERS, fetch, find_browser, stack, wait_until

REPOSITORY = Path(__file__).resolve().parents[1]
IMAGES = REPOSITORY / "docs" / "images"
WIDTH = 1500  # pixels, of a window and so of a picture
MAX_BYTES = 300_000  # of a picture
USER = "ada"
USUAL_PORTS = (8080, 5000, 8000)  # which the pictures show

# Every second month, so that each model has to be compared with one that knows less.
AIRFLOW_PERIODS = ["2013-06", "2013-08", "2013-10"]

# Variables of the surrounding `make` and shell that would change how the runs behave.
FOREIGN = ("AIRFLOW_", "GIT_", "MAKE", "MFLAGS", "MLFLOW_", "MODELWORKS_", "NO_COLOR", "PYTHONDONT", "VIRTUAL_ENV")

MLFLOW_STORAGE = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
}
# No assistant's button, no tag that holds a path of this computer, every row of a table, tags to their end.
MLFLOW_STYLE = """
[data-assistant-ui], [role=status]:has([title^="/"]) { display: none !important }
.table-isScrollable { max-height: none !important }
[role=row] > [role]:nth-child(6) { min-width: 340px }
"""
AIRFLOW_STYLE = ".react-flow__minimap, .react-flow__attribution { display: none !important }"
# The same request as a command and as an address.
API_STYLE = ".curl-command, .request-url { display: none !important }"

TERMINAL_COLUMNS, TERMINAL_ROWS = 132, 50
TERMINAL = """<!DOCTYPE html><meta charset="utf-8"><style>
body {{ margin: 0 }}
#window {{ display: inline-block; background: {background}; color: {foreground} }}
#window {{ font: 17px/1.45 "DejaVu Sans Mono", Menlo, Consolas, monospace }}
header {{ padding: 10px; text-align: center; background: #333; color: #bbb }}
pre {{ margin: 0; padding: 18px 28px 26px; font: inherit }}
</style><div id="window"><header>TITLE</header><pre>{code}</pre></div>"""


def main() -> None:
    """Generate, serve, run and look; leave nothing behind but the pictures."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that what we started is ended then, too
    executable = find_browser() or sys.exit(f"no browser on PATH ({', '.join(BROWSERS)}): install chromium")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable)
        environment = new_environment(Path(scratch))
        say("generating a project")
        project = bake(Path(scratch), environment)
        subprocess.run(["make", "setup"], cwd=project, env=environment, check=True)
        say("backtest")
        copy_backtest(project, environment)
        say("make up")
        with stack(project, {**environment, "MODELWORKS_GATES__APPROVAL": "always"}, USER, USUAL_PORTS) as live:
            dag_id, run_id = train_in_airflow(browser, live.airflow, live.token)
            photograph_airflow(browser, live.airflow, live.token, dag_id, run_id)
            say("make run")
            # To the server rather than to its file, so that no path of this computer is shown.
            settings = {**live.environment, "MODELWORKS_GATES__APPROVAL": "never", "MLFLOW_TRACKING_URI": live.mlflow}
            photograph_terminal(browser, ["make", "run"], project, settings)
            photograph_mlflow(browser, live.mlflow)
            photograph_api(browser, live.api)
            photograph_page(browser, live.api, "state.png", 1000)
            say("make explore")
            subprocess.run(["make", "explore"], cwd=project, env=environment, check=True)
            photograph_page(browser, (project / "var" / "explore.html").as_uri(), "explore.png", 1400)
        browser.close()


def copy_backtest(project: Path, environment: Mapping[str, str]) -> None:
    """The picture of the replayed year, as the project draws it; without Airflow, which gives the same."""
    command: list[str | Path] = [project / ".venv" / "bin" / "flight-delays", "backtest", "--without-airflow"]
    subprocess.run(command, cwd=project, env=environment, check=True)
    shutil.copy(project / "var" / "backtest" / "backtest.png", IMAGES / "year.png")


def say(what: str) -> None:
    """Print what is going on."""
    print(f"screenshots: {what}", flush=True)


def new_environment(scratch: Path) -> dict[str, str]:
    """The environment of a user who has just opened a terminal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    own_tools = REPOSITORY / ".tools" / "bin"  # where `make setup` puts uv if the system has none
    return {
        **kept,
        "PATH": f"{kept['PATH']}:{own_tools}",
        "TMPDIR": str(scratch),
        "TERM": "xterm-256color",
        "LOGNAME": USER,
    }


def bake(scratch: Path, environment: Mapping[str, str]) -> Path:
    """Generate the project that the default answers give."""
    command = [sys.executable, "-m", "cookiecutter", str(REPOSITORY), "--no-input", "--default-config"]
    command += ["--output-dir", str(scratch / "baked")]
    # Cookiecutter notes the answers in the home folder.
    home = {"HOME": str(scratch / "home")}
    subprocess.run(command, env={**environment, **home}, stdout=subprocess.DEVNULL, check=True)
    (project,) = (scratch / "baked").iterdir()
    return project


def train_in_airflow(browser: Browser, url: str, token: str) -> tuple[str, str]:
    """Run the training DAG for each of the periods; returns its id and that of the last run."""
    (dag,) = wait_until("Airflow has the DAG", lambda: fetch(f"{url}/api/v2/dags?tags=training", token=token)["dags"])
    dag_url = f"{url}/api/v2/dags/{dag['dag_id']}"
    fetch(dag_url, {"is_paused": False}, token, "PATCH")
    run_ids = [train_period(browser, url, dag["dag_id"], period, token) for period in AIRFLOW_PERIODS]
    return dag["dag_id"], run_ids[-1]


def train_period(browser: Browser, url: str, dag_id: str, period: str, token: str) -> str:
    """One run, from its trigger to its end, with a yes in between; returns its id."""
    say(f"training in Airflow, {period}")
    dag_url = f"{url}/api/v2/dags/{dag_id}"
    run_id = fetch(f"{dag_url}/dagRuns", {"logical_date": None, "conf": {"period": period, "force": True}}, token)[
        "dag_run_id"
    ]

    def end_state() -> str | None:
        state: str = fetch(f"{dag_url}/dagRuns/{quote(run_id)}", token=token)["state"]
        return state if state in ("success", "failed") else None

    task_url = f"{dag_url}/dagRuns/{quote(run_id)}/taskInstances/approve"
    wait_until("a person is asked", lambda: fetch(task_url, token=token)["state"] == "awaiting_input")
    photograph_approval(browser, url, token, f"{url}/dags/{dag_id}/runs/{quote(run_id)}/tasks/approve/required_actions")
    state = wait_until("the run ends", end_state)
    if state != "success":
        raise RuntimeError(f"the training run of {period} ended with {state}")
    return str(run_id)


def photograph_approval(browser: Browser, url: str, token: str, address: str) -> None:
    """The question whether to release; then it is answered."""
    page = open_page(browser, {})
    page.context.add_cookies([{"name": "_token", "value": token, "url": url}])
    page.goto(address)
    reason = page.get_by_role("group").filter(has_text="Reason").get_by_role("textbox")
    page.set_viewport_size({"width": WIDTH, "height": 1000})
    page.get_by_role("heading", name="Verdict").wait_for()
    shoot(page, "airflow-approval.png", 1000)
    reason.fill("better than the champion on the same flights")
    page.get_by_role("button", name="Approve", exact=True).click()
    page.get_by_text("response successful").wait_for()
    page.context.close()


def photograph_api(browser: Browser, url: str) -> None:
    """The API's page, after its example was tried."""
    page = open_page(browser, {})
    page.goto(f"{url}/docs")
    page.add_style_tag(content=API_STYLE)
    page.get_by_text("/predict").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.get_by_text("model_version").first.wait_for()
    shoot(page, "api-docs.png", top(page.get_by_text("Response headers")))


def photograph_page(browser: Browser, url: str, name: str, height: int) -> None:
    """The beginning of a page of our own; the API draws its page in the background, and shows a remark until then."""
    page = open_page(browser, {})
    page.goto(url)
    while page.locator("svg").count() == 0:
        page.wait_for_timeout(2000)
        page.reload()
    shoot(page, name, height)


def photograph_airflow(browser: Browser, url: str, token: str, dag_id: str, run_id: str) -> None:
    """The grid with the last run beside it, then that run's graph with the assets."""
    page = open_page(browser, {f"dependencies-{dag_id}": '"immediate"'})
    page.context.add_cookies([{"name": "_token", "value": token, "url": url}])
    page.goto(f"{url}/dags/{dag_id}/runs/{quote(run_id)}")
    page.add_style_tag(content=AIRFLOW_STYLE)
    page.set_viewport_size({"width": WIDTH, "height": 720})
    page.get_by_role("link", name="ingest").last.wait_for()
    shoot(page, "airflow-grid.png", 720)
    page.set_viewport_size({"width": WIDTH, "height": 570})
    page.get_by_role("button", name="Show Graph").click()
    page.get_by_role("button", name="Collapse Details Panel").click()
    page.get_by_text(dag_id.replace("training", "model")).wait_for()
    page.get_by_role("button", name="Fit View").click()
    shoot(page, "airflow-graph.png", 570)


def photograph_mlflow(browser: Browser, url: str) -> None:
    """The champion's run, one of its figures, and the registered model with its aliases."""
    api = f"{url}/api/2.0/mlflow"
    (model,) = fetch(f"{api}/registered-models/search?max_results=2")["registered_models"]
    champion = fetch(f"{api}/registered-models/alias?name={model['name']}&alias=champion")["model_version"]
    run = fetch(f"{api}/runs/get?run_id={champion['run_id']}")["run"]["info"]
    run_url = f"{url}/#/experiments/{run['experiment_id']}/runs/{run['run_id']}"
    page = open_page(browser, MLFLOW_STORAGE)
    page.goto(run_url)
    page.add_style_tag(content=MLFLOW_STYLE)
    page.get_by_text("l2_regularization").wait_for()
    shoot(page, "mlflow-run.png", top(page.get_by_text("Logged models")))
    page.goto(f"{run_url}/artifacts")
    page.get_by_text("slices.png").first.click()
    page.locator("img[src*='slices'], img[src^='blob:']").first.wait_for()
    page.get_by_text("Path: file:").evaluate("element => element.style.visibility = 'hidden'")  # of this computer
    shoot(page, "mlflow-artifacts.png", 880)
    page.goto(f"{url}/#/models/{model['name']}")
    page.get_by_text("champion").wait_for()
    shoot(page, "mlflow-model.png", top(page.get_by_text("/ page")) + 50)


def photograph_terminal(browser: Browser, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    """The output of a command in a terminal window, with the command as its title."""
    console = Console(record=True, width=TERMINAL_COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(capture(command, folder, environment)), soft_wrap=True)
    window = TERMINAL.replace("TITLE", " ".join(command))
    page = open_page(browser, {})
    page.set_content(console.export_html(theme=MONOKAI, code_format=window, inline_styles=True))
    save("make-run.png", page.locator("#window").screenshot())


def capture(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    """What a command writes to a terminal, colours included."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (TERMINAL_ROWS, TERMINAL_COLUMNS))
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    output = b""
    with suppress(OSError):  # how Linux says that the other side has closed the terminal
        while chunk := os.read(ours, 65536):
            output += chunk
    os.close(ours)
    text = output.decode().replace("\r\n", "\n").rstrip()
    if process.wait() != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{text}")
    return text


def open_page(browser: Browser, storage: Mapping[str, str]) -> Page:
    """A new window, light and in English, whose local storage holds what is given."""
    size: ViewportSize = {"width": WIDTH, "height": 1800}  # higher than any picture
    context = browser.new_context(viewport=size, color_scheme="light", locale="en-GB", timezone_id="UTC")
    context.set_default_timeout(120_000)
    for name, value in storage.items():
        context.add_init_script(f"localStorage.setItem({json.dumps(name)}, {json.dumps(value)})")
    return context.new_page()


def top(element: Locator) -> float:
    """Where an element begins, pixels from the upper edge of the window."""
    element.wait_for()
    box = element.bounding_box()
    assert box, "a visible element has a box"
    return box["y"]


def shoot(page: Page, name: str, height: float) -> None:
    """Save the upper part of the window once everything in it has come to rest."""
    page.mouse.move(0, 0)  # or else something may be lit up
    page.wait_for_timeout(2500)  # Airflow and MLflow poll, so the network never rests
    clip: FloatRect = {"x": 0, "y": 0, "width": WIDTH, "height": height}
    save(name, page.screenshot(clip=clip, animations="disabled"))


def save(name: str, picture: bytes) -> None:
    """Write a picture, if it is small enough for a README."""
    if len(picture) > MAX_BYTES:
        raise RuntimeError(f"{name} would have {len(picture):,} bytes; {MAX_BYTES:,} are allowed")
    (IMAGES / name).write_bytes(picture)


if __name__ == "__main__":
    main()
