"""A run that fails is told of once, whatever ends its tasks; and telling of it never makes a task run again."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from {{ cookiecutter.__package_name }}.config import ENV_PREFIX

from inbox import Inbox, serving
from world import World, wait_until


@pytest.fixture
def dotenv(world: World) -> Iterator[Path]:
    """The file of settings, which each process of a task reads anew."""
    file = world.settings.home / ".env"
    before = file.read_text() if file.exists() else ""
    yield file
    file.write_text(before)


def test_each_failed_run_is_told_of_once(world: World, dotenv: Path) -> None:
    with serving(Inbox()) as webhook, socket.create_server(("127.0.0.1", 0)) as silent_mail_server:
        port = silent_mail_server.getsockname()[1]
        dotenv.write_text(
            f"{ENV_PREFIX}NOTIFICATIONS__WEBHOOK_URL=http://{webhook.address}/hook\n"
            f"{ENV_PREFIX}NOTIFICATIONS__EMAIL_TO='[\"ada@example.com\"]'\n"
            f"AIRFLOW_CONN_SMTP_DEFAULT=smtp://127.0.0.1:{port}?disable_ssl=true\n"
            f"{ENV_PREFIX}GATES__MAX_ROC_AUC=0.51\n"
        )
        refused = world.run(world.champion_month())
        # By -9 on each try, of which there are three: the task's own process can tell nobody.
        world.kill_at("after storage.PartitionWriter.write", "before journal.create", "after journal.create")
        killed = world.run()
        wait_until("both are told of", lambda: len(webhook.messages) >= 2)
    assert (refused.states["evaluate"], refused.tries["evaluate"]) == ("failed", 1)
    assert "notification given up after 15 s" in world.log(refused, "evaluate")
    assert (killed.states["ingest"], killed.tries["ingest"]) == ("failed", 3)
    told = [(each["event"], each["task_id"], each["run_id"]) for each in webhook.messages]
    assert told == [("refusal", "evaluate", refused.run_id), ("failure", "ingest", killed.run_id)]
    why, lost = (each["text"] for each in webhook.messages)
    assert why.startswith("the model is refused, the champion stays: ")
    assert lost.startswith("ingest failed and left no error: ")
    runs = f"{world.settings.stack.url('airflow')}/dags/{webhook.messages[0]['dag_id']}/runs"
    assert [each["url"] for each in webhook.messages] == [f"{runs}/{quote(run.run_id)}" for run in (refused, killed)]
