"""Events for a webhook that is away, slow or has them already; received by a real server on this computer."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from typer.testing import CliRunner

from flights import load_dag
from inbox import Inbox
from modelworks.airflow import channels, webhook
from modelworks.airflow.webhook import Message, event_id, keep, read_events, send_waiting
from modelworks.cli.app import app
from modelworks.errors import ConfigError
from modelworks.settings import ENV_PREFIX, Settings, load_settings

FIRST, SECOND = "whsec_" + "QUFB" * 8, "whsec_" + "QkJC" * 8  # 24 bytes each
NOTIFICATIONS = f"{ENV_PREFIX}NOTIFICATIONS__"


@pytest.fixture
def settings(project: Path, webhook: Inbox, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv(f"{NOTIFICATIONS}WEBHOOK_SECRET", FIRST)
    return load_settings(project)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that is away is asked again for a second only."""
    monkeypatch.setattr(webhook, "RETRIES_S", 1)


def message(number: int = 1, days_ago: float = 0.0) -> Message:
    at = datetime.now(UTC) - timedelta(days=days_ago)
    return {
        **dict.fromkeys(("dag_id", "run_id", "task_id", "period", "url")),
        "id": event_id("flight-delays", number),
        "event": "deployment",
        "project": "flight-delays",
        "text": f"version {number} is the champion",
        "at": at.isoformat(timespec="seconds"),
    }


def texts(inbox: Inbox) -> list[str]:
    return [each["text"] for each in inbox.messages]


def test_event_is_signed_as_the_library_of_receivers_checks_it(settings: Settings, webhook: Inbox) -> None:
    channels.send(settings, message())
    [(headers, body)] = webhook.bodies
    assert Webhook(FIRST).verify(body, headers) == json.loads(body) == message() | {"at": json.loads(body)["at"]}
    assert headers["webhook-id"] == json.loads(body)["id"]
    with pytest.raises(WebhookVerificationError):
        Webhook(SECOND).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(FIRST).verify(body.replace("champion", "loser"), headers)


def test_while_a_secret_is_changed_both_hold(settings: Settings, webhook: Inbox, monkeypatch) -> None:
    monkeypatch.setenv(f"{NOTIFICATIONS}WEBHOOK_SECRET", f"{SECOND} {FIRST}")
    channels.send(load_settings(settings.home), message())
    [(headers, body)] = webhook.bodies
    assert Webhook(FIRST).verify(body, headers) == Webhook(SECOND).verify(body, headers)


def test_without_a_secret_there_is_an_id_and_no_signature(settings: Settings, webhook: Inbox, monkeypatch) -> None:
    monkeypatch.delenv(f"{NOTIFICATIONS}WEBHOOK_SECRET")
    channels.send(load_settings(settings.home), message())
    [(headers, _)] = webhook.bodies
    assert headers["webhook-id"].startswith("evt_")
    assert "webhook-signature" not in headers


@pytest.mark.parametrize("secret", ["T0psecret", "whsec_QUFB", "whsec_not base64 at all", FIRST[6:]])
def test_secret_of_another_form_is_refused_and_not_shown(project: Path, secret: str, monkeypatch) -> None:
    monkeypatch.setenv(f"{NOTIFICATIONS}WEBHOOK_SECRET", secret)
    with pytest.raises(ConfigError, match=r"webhook_secret = \.\.\.: not `whsec_` followed by 24 to 64 bytes") as error:
        load_settings(project)
    assert secret not in str(error.value)


def test_event_that_comes_twice_is_sent_once(settings: Settings, webhook: Inbox) -> None:
    for _ in range(2):
        channels.send(settings, message())
    assert texts(webhook) == ["version 1 is the champion"]


def test_receiver_that_is_busy_for_a_moment_is_asked_again(settings: Settings, webhook: Inbox) -> None:
    webhook.first_statuses = [503]
    channels.send(settings, message())
    assert texts(webhook) == ["version 1 is the champion"] * 2  # of one id
    assert len({headers["webhook-id"] for headers, _ in webhook.bodies}) == 1
    assert read_events(settings, waiting=True) == []


def test_what_a_receiver_missed_is_sent_before_the_next_event_in_order(
    settings: Settings, webhook: Inbox, quick: None
) -> None:
    webhook.status = 503
    channels.send(settings, message(1, days_ago=2))
    channels.send(settings, message(2, days_ago=1))
    webhook.status, missed = 200, len(webhook.received)
    channels.send(settings, message(3))
    assert texts(webhook)[missed:] == [f"version {number} is the champion" for number in (1, 2, 3)]
    assert send_waiting(settings) == 0
    assert len(webhook.received) == missed + 3


def test_event_that_is_refused_stops_no_other_and_is_dropped_after_a_week(
    settings: Settings, webhook: Inbox, caplog
) -> None:
    webhook.status = 400
    channels.send(settings, message(1, days_ago=6.9))
    channels.send(settings, message(2, days_ago=7.1))
    assert texts(webhook)[-2:] == ["version 2 is the champion", "version 1 is the champion"]
    assert [each["text"] for each in read_events(settings, waiting=True)] == ["version 1 is the champion"]
    assert "is dropped, as it was not delivered for 7 days" in caplog.text


def test_process_that_dies_before_it_sends_loses_nothing(settings: Settings, webhook: Inbox) -> None:
    assert keep(settings, message())
    assert not keep(settings, message())
    assert send_waiting(settings) == 1
    assert texts(webhook) == ["version 1 is the champion"]


def test_event_is_sent_although_it_cannot_be_kept(settings: Settings, webhook: Inbox, caplog) -> None:
    folder = Path(settings.storage_uri) / "events"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("no folder")
    channels.send(settings, message())
    assert texts(webhook) == ["version 1 is the champion"]
    assert "the event is not kept" in caplog.text


def test_without_a_webhook_nothing_waits(settings: Settings, monkeypatch) -> None:
    monkeypatch.delenv(f"{NOTIFICATIONS}WEBHOOK_URL")
    plain = load_settings(settings.home)
    channels.send(plain, message())
    assert len(read_events(plain)) == 1
    assert read_events(plain, waiting=True) == []


def test_rollback_is_an_event_without_a_run(settings: Settings, webhook: Inbox) -> None:
    channels.send_rollback(settings, "version 1 is the champion again")
    [sent] = webhook.messages
    assert (sent["event"], sent["text"], sent["run_id"]) == ("rollback", "version 1 is the champion again", None)


def test_command_lists_events_and_sends_what_waits(
    settings: Settings, webhook: Inbox, quick: None, monkeypatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}HOME", str(settings.home))
    webhook.status = 503
    channels.send(settings, message())
    shown = CliRunner().invoke(app, ["events"])
    assert shown.output.splitlines()[0].endswith("deployment  version 1 is the champion  (waits)")
    assert shown.output.splitlines()[-1] == "1 event; the webhook has yet to accept 1"
    webhook.status = 200
    shown = CliRunner().invoke(app, ["events", "--send"])
    assert shown.output.splitlines()[-1] == "1 event; the webhook has yet to accept 0"
    assert [each["waits"] for each in json.loads(CliRunner().invoke(app, ["events", "--json"]).output)] == [False]


def test_slow_channel_keeps_no_other_from_its_message(settings: Settings, webhook: Inbox, monkeypatch, caplog) -> None:
    monkeypatch.setattr(channels, "PATIENCE_S", 1)
    monkeypatch.setattr(channels, "to_project", lambda *_: [("slow", lambda: time.sleep(5))])
    channels.send(settings, message())
    assert texts(webhook) == ["version 1 is the champion"]
    assert "notification abandoned after 1 s" in caplog.text


def test_run_that_succeeds_sends_what_waits(settings: Settings, webhook: Inbox, quick: None) -> None:
    webhook.status = 503
    channels.send(settings, message())
    webhook.status = 200
    dag = load_dag(settings.home, "scoring")
    dag.on_success_callback({"dag": dag})  # as Airflow's DAG processor calls it
    assert read_events(settings, waiting=True) == []
