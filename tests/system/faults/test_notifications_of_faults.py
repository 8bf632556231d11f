"""A run that fails sends one notification, whatever ends its tasks; and sending it never makes a task run again."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from live_stack import LiveStack, wait_until

from inbox import Inbox, serving
from modelworks.settings import ENV_PREFIX


@pytest.fixture
def dotenv(stack: LiveStack) -> Iterator[Path]:
    """The file of settings, which each process of a task reads anew."""
    file = stack.settings.home / ".env"
    before = file.read_text() if file.exists() else ""
    yield file
    file.write_text(before)


def test_each_failed_run_sends_one_notification(stack: LiveStack, dotenv: Path) -> None:
    with serving(Inbox()) as webhook, socket.create_server(("127.0.0.1", 0)) as silent_mail_server:
        port = silent_mail_server.getsockname()[1]
        dotenv.write_text(
            f"{ENV_PREFIX}NOTIFICATIONS__WEBHOOK_URL=http://{webhook.address}/hook\n"
            f"{ENV_PREFIX}NOTIFICATIONS__EMAIL_TO='[\"ada@example.com\"]'\n"
            f"AIRFLOW_CONN_SMTP_DEFAULT=smtp://127.0.0.1:{port}?disable_ssl=true\n"
            f"{ENV_PREFIX}GATES__METRICS__ROC_AUC__MAX=0.51\n"
        )
        refused = stack.run(stack.champion_period())
        # By -9 on each of three tries: the task's own process cannot send a notification.
        stack.kill_at("after partitions.PartitionWriter.write", "before journal.create", "after journal.create")
        killed = stack.run()
        wait_until("both notifications have come", lambda: len(webhook.messages) >= 2)
    assert (refused.states["evaluate"], refused.tries["evaluate"]) == ("failed", 1)
    assert "notification abandoned after 15 s" in stack.log(refused, "evaluate")
    assert (killed.states["ingest"], killed.tries["ingest"]) == ("failed", 3)
    sent = [(each["event"], each["task_id"], each["run_id"]) for each in webhook.messages]
    assert sent == [("refusal", "evaluate", refused.run_id), ("failure", "ingest", killed.run_id)]
    why, lost = (each["text"] for each in webhook.messages)
    assert why.startswith("the model is refused, the champion stays: ")
    assert lost.startswith("ingest failed and left no error: ")
    runs = f"{stack.settings.stack.url('airflow')}/dags/{webhook.messages[0]['dag_id']}/runs"
    assert [each["url"] for each in webhook.messages] == [f"{runs}/{quote(run.run_id)}" for run in (refused, killed)]
