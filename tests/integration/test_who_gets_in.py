"""The prediction API with keys, as a process of its own: what it refuses to start with, and who is let in."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from flights import FLIGHTS, make_home
from modelworks.cli.app import app
from modelworks.settings import ENV_PREFIX
from servers import get, is_up, post, running, serving, wait_for


def make_key(*words: str) -> str:
    """A key as the command prints it."""
    shown = CliRunner().invoke(app, ["api-keys", "add", *words], catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    return shown.stdout.strip()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_keys_are_made_used_and_removed_while_the_api_runs(released: Path) -> None:
    shop = make_key("shop", "--scopes", "predict")
    with serving(released) as server:
        assert post(f"{server.url}/predict", json=FLIGHTS.contract.example).status_code == 401
        assert post(f"{server.url}/predict", json=FLIGHTS.contract.example, headers=bearer(shop)).status_code == 200
        page = get(f"{server.url}/", headers=bearer(shop))
        assert (page.status_code, page.json()["errors"][0]["field"]) == (403, "Authorization")
        reader = make_key("reader", "--scopes", "read,predict,explain")
        wait_for(lambda: get(f"{server.url}/model", headers=bearer(reader)).status_code == 200, server.log)
        explained = post(f"{server.url}/predict?explain=true", json=FLIGHTS.contract.example, headers=bearer(reader))
        assert explained.json()["explanation"]["rows"]
        assert get(f"{server.url}/metrics", auth=("ada", reader)).status_code == 200  # as a browser sends a password
        assert CliRunner().invoke(app, ["api-keys", "remove", "shop"]).exit_code == 0
        asked = {"json": FLIGHTS.contract.example, "headers": bearer(shop)}
        wait_for(lambda: post(f"{server.url}/predict", **asked).status_code == 401, server.log)
        evil = {"Host": "evil.example.com", **bearer(reader)}
        assert get(f"{server.url}/model", headers=evil).status_code == 421
    for key in (shop, reader):
        assert key not in server.log.read_text()
        left = [file for file in released.rglob("*") if file.is_file() and "data/" not in str(file)]
        assert [file for file in left if key.encode() in file.read_bytes()] == []


def other_address() -> str:
    """An address of this computer that is no loopback."""
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and not each.address.startswith("127."):
                return each.address
    pytest.skip("this computer has no address but its loopback")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7"])  # noqa: S104 - it does not get as far as listening
def test_api_refuses_to_start_on_the_network_without_a_key(tmp_path: Path, host: str) -> None:
    make_home(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "modelworks.serving", "--port", "1", "--host", host],
        env={**os.environ, f"{ENV_PREFIX}HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    [line] = done.stderr.strip().splitlines()
    assert line.startswith(f"error: the prediction API would answer everybody who reaches {host}, since ")
    assert "[access] oidc_issuer" in line


def test_bare_uvicorn_on_every_address_answers_this_computer_only(tmp_path: Path) -> None:
    """A server that is started past the check: whoever comes by another address is refused all the same."""
    make_home(tmp_path)
    command = ["uvicorn", "modelworks.serving:create_app", "--factory"]
    environment = {f"{ENV_PREFIX}HOME": str(tmp_path)}
    with running(command, "/health", tmp_path, host="0.0.0.0", **environment) as server:  # noqa: S104
        away = server.url.replace("127.0.0.1", other_address())
        assert get(f"{server.url}/metrics").status_code == 200
        answer = get(f"{away}/metrics")
        assert answer.status_code == 403
        assert "until it has keys" in answer.json()["errors"][0]["message"]
        assert get(f"{away}/health").status_code == 200
        assert "was refused" in server.log.read_text()


@pytest.mark.parametrize("path", ["/docs", "/"])
def test_browser_shows_the_pages_and_has_no_complaint(released: Path, path: str) -> None:
    """Such as of a Content-Security-Policy that a page does not keep."""
    if (browser := shutil.which("chromium") or shutil.which("google-chrome")) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium or Chrome on PATH")
    with serving(released) as server:
        wait_for(lambda: is_up(server, "/"), server.log)
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--virtual-time-budget=8000"]
        shown = subprocess.run(
            [browser, *flags, f"--user-data-dir={released / 'browser'}", "--dump-dom", server.url + path],
            capture_output=True,
            text=True,
            check=False,
        )
    assert {"/docs": "Predict one row, or many as an array", "/": "Champion"}[path] in shown.stdout
    assert [line for line in shown.stderr.splitlines() if "CONSOLE" in line] == []


def test_commands_list_keys_and_never_show_them(project: Path) -> None:
    key = make_key("shop", "--scopes", "predict,explain", "--expires-days", "30")
    shown = CliRunner().invoke(app, ["api-keys", "list"])
    assert "shop" in shown.stdout
    assert "predict, explain" in shown.stdout
    listed = CliRunner().invoke(app, ["api-keys", "list", "--json"])
    for output in (shown.output, listed.output):
        assert key not in output
