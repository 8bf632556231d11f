"""Notifications, received by real servers on this computer; those of refusals and releases are in `test_dag.py`."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, Connection
from airflow.utils.db import initdb
from dotenv import dotenv_values

from flights import FLIGHTS, PACKAGE, TEMPLATE, load_dag
from inbox import Inbox, MailServer, serving
from modelworks import stages
from modelworks.airflow import channels
from modelworks.airflow import webhook as webhooks
from modelworks.airflow.notifications import (
    alarmed,
    deployed,
    retraining_requested,
    run_failed,
    run_succeeded,
    task_failed,
)
from modelworks.errors import PartitionError
from modelworks.settings import ENV_PREFIX

LOGGER = "modelworks.airflow.notifications"
WEBHOOK_URL = f"{ENV_PREFIX}NOTIFICATIONS__WEBHOOK_URL"
SECRET = "T0psecret"  # noqa: S105 - of nothing
# A value of the data: as a template it would become 49, as HTML it would be lost, in Slack it would ring for all.
VALUE = "<!channel>{" + "{ 7*7 }" + "}"
TEXT = f"score failed: 2013-07: damaged by {VALUE}"
ESCAPED = TEXT.replace("<", "&lt;").replace(">", "&gt;")

Run = Callable[[Exception], tuple[str, int]]


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    initdb()


@pytest.fixture
def dag(project: Path) -> DAG:
    return load_dag(project, "scoring")


@pytest.fixture
def run(dag: DAG, webhook: Inbox, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a DAG whose last stage fails; returns that task's state and number of tries."""

    def run_and_fail(error: Exception) -> tuple[str, int]:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(stages, "score", fail)
        dag.get_task("score").retry_delay = timedelta(0)
        tasks = dag.test(logical_date=None, run_conf={"period": "2013-07"}).get_task_instances()
        return next((task.state, task.try_number) for task in tasks if task.task_id == "score")

    return run_and_fail


@pytest.fixture
def damaged() -> PartitionError:
    return PartitionError(f"2013-07: damaged\n by {VALUE}")


def test_every_task_notifies_of_its_failure_and_every_dag_of_what_tasks_cannot_notify_of(bag: DagBag) -> None:
    for dag in bag.dags.values():
        assert dag.on_failure_callback.func is run_failed
        assert dag.on_success_callback.func is run_succeeded
        for task in dag.tasks:
            callbacks = task.on_failure_callback
            [callback] = [callbacks] if task.is_mapped else callbacks  # Airflow keeps the first as it is given
            assert callback.func is task_failed
    for name, task_id, function in (
        ("training", "deploy", deployed),
        ("monitoring", "monitor", alarmed),
        ("monitoring", "retrain", retraining_requested),
    ):
        [callback] = bag.dags[f"{PACKAGE}_{name}"].get_task(task_id).on_success_callback
        assert callback.func is function


def test_failure_is_sent_once_with_what_happened_and_why(
    run: Run, webhook: Inbox, damaged: PartitionError, capfd
) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    assert run(damaged) == ("failed", 1)
    # What Airflow logs of a callback that has failed itself.
    assert not re.search("Callback failed|Failed to run task callback", "".join(capfd.readouterr()))
    [(path, sent)] = webhook.received
    assert path == "/hook"
    assert sent.pop("run_id").startswith("manual__")
    assert before <= datetime.fromisoformat(sent.pop("at")) <= datetime.now(UTC)
    assert re.fullmatch("evt_[0-9a-f]{32}", sent.pop("id"))
    assert sent == {
        "event": "failure",
        "project": "flight-delays",
        "dag_id": f"{PACKAGE}_scoring",
        "task_id": "score",
        "period": "2013-07",
        "text": TEXT,
        "url": None,  # a run in one process is on no server
    }


def test_failure_that_is_retried_is_sent_when_it_is_final(run: Run, webhook: Inbox) -> None:
    assert run(ConnectionError("dropped")) == ("failed", 3)
    assert [sent["text"] for sent in webhook.messages] == ["score failed: ConnectionError: dropped"]


def test_slack_and_mail_say_the_same(run: Run, webhook: Inbox, damaged: PartitionError, monkeypatch) -> None:
    slack = {"conn_type": "slackwebhook", "host": f"http://{webhook.address}/services", "password": f"T0/B0/{SECRET}"}
    monkeypatch.setenv("AIRFLOW_CONN_TEAM", json.dumps(slack))
    monkeypatch.setenv(f"{ENV_PREFIX}NOTIFICATIONS__SLACK_CONNECTION", "team")
    monkeypatch.setenv(f"{ENV_PREFIX}NOTIFICATIONS__EMAIL_TO", '["ada@example.com", "bob@example.com"]')
    with serving(MailServer()) as server:
        host, port = server.server_address
        extra = {"from_email": "airflow@example.com", "disable_ssl": True, "disable_tls": True}
        smtp = {"conn_type": "smtp", "host": host, "port": port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(smtp))
        run(damaged)
    [(path, sent)] = [each for each in webhook.received if each[0] != "/hook"]
    assert path == f"/services/T0/B0/{SECRET}"
    assert sent["text"].splitlines()[:2] == ["*flight-delays: failure*", ESCAPED]
    [mail] = server.mails
    assert (mail["From"], mail["To"]) == ("airflow@example.com", "ada@example.com, bob@example.com")
    assert mail["Subject"] == "flight-delays: failure"
    assert f"<p>{ESCAPED}</p>" in mail.get_body(("html",)).get_content()


def test_event_that_is_not_listed_is_logged_and_not_sent(
    run: Run, webhook: Inbox, damaged: PartitionError, monkeypatch, caplog
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}NOTIFICATIONS__EVENTS", '["deployment", "refusal"]')
    with caplog.at_level(logging.INFO):
        run(damaged)
    assert webhook.received == []
    [line] = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert re.fullmatch(rf"failure in manual__\S+: {re.escape(TEXT)}", line)


@pytest.mark.parametrize(
    ("status", "delay_s", "complaint"),
    [
        (None, 0, "webhook: ConnectError: "),
        (503, 0, "webhook: it answered with status 503"),
        (404, 0, "it answered with status 404"),
        (200, 8, "webhook: ReadTimeout: "),
    ],
)
def test_webhook_that_fails_changes_nothing_and_stops_no_other_channel(
    run: Run, webhook: Inbox, damaged, status: int | None, delay_s: float, complaint: str, monkeypatch, caplog
) -> None:
    slack = {"conn_type": "slackwebhook", "host": f"http://{webhook.address}", "password": "to-slack"}
    monkeypatch.setenv("AIRFLOW_CONN_TEAM", json.dumps(slack))
    monkeypatch.setenv(f"{ENV_PREFIX}NOTIFICATIONS__SLACK_CONNECTION", "team")
    monkeypatch.setattr(webhooks, "RETRIES_S", 1)
    with serving(Inbox(status or 200, delay_s)) as failing, caplog.at_level(logging.INFO):
        monkeypatch.setenv(WEBHOOK_URL, f"http://{failing.address if status else '127.0.0.1:1'}/hook")
        assert run(damaged) == ("failed", 1)
    assert complaint in caplog.text
    assert [path for path, _ in webhook.received] == ["/to-slack"]


def test_connections_of_the_example_file_are_understood() -> None:
    lines = (TEMPLATE / ".env.example").read_text().replace("# AIRFLOW_CONN", "AIRFLOW_CONN")
    examples = dotenv_values(stream=StringIO(lines))
    slack = Connection.from_json(examples["AIRFLOW_CONN_SLACK_DEFAULT"])
    assert (slack.conn_type, slack.password[:10]) == ("slackwebhook", "T00000000/")
    smtp = Connection.from_uri(examples["AIRFLOW_CONN_SMTP_DEFAULT"], conn_id="smtp_default")
    assert (smtp.host, smtp.port, smtp.login, smtp.password) == ("smtp.example.com", 587, "user", "password")
    assert smtp.extra_dejson == {"disable_ssl": "true", "from_email": "airflow@example.com"}


def test_notifiers_of_the_project_get_the_message_and_one_that_fails_stops_no_other(
    run: Run, webhook: Inbox, damaged: PartitionError, monkeypatch, caplog
) -> None:
    received: list[channels.Message] = []

    def broken(message: channels.Message) -> None:
        message.clear()
        raise ValueError("no pager here")

    project = replace(FLIGHTS, notifiers=[broken, received.append])
    monkeypatch.setattr(channels, "load_project", lambda _home: project)
    with caplog.at_level(logging.INFO):
        run(damaged)
    assert received == webhook.messages
    assert received[0]["text"] == TEXT
    assert "broken: ValueError: no pager here" in caplog.text


@pytest.mark.parametrize("status", [200, 404])
def test_secrets_of_the_webhook_are_in_no_log(
    run: Run, webhook: Inbox, damaged: PartitionError, status: int, monkeypatch, caplog, capfd
) -> None:
    webhook.status = status
    monkeypatch.setenv(WEBHOOK_URL, f"http://user:{SECRET}@{webhook.address}/{SECRET}")
    with caplog.at_level(logging.INFO):
        run(damaged)
    assert [path for path, _ in webhook.received] == [f"/{SECRET}"]
    shown = capfd.readouterr()
    assert "score failed" in caplog.text
    assert SECRET not in caplog.text + shown.out + shown.err
