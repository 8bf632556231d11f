"""Which of OpenTelemetry's variables trace predictions; what is traced is shown by tests/integration."""

import pytest

from modelworks.errors import ConfigError
from modelworks.serving.tracing import Tracing, end_request

PREDICT = {"path": "/predict", "method": "POST", "headers": [], "request_id": "mine-1"}


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_nothing_is_traced_unless_an_exporter_is_named(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    tracing = Tracing("delays")
    with tracing.request(PREDICT) as request, tracing.span("predict", model_version="2") as part:
        assert (request, part) == (None, None)
        end_request(request, 200)
    tracing.close()


def test_console_prints_a_failed_request_with_the_project_s_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    tracing = Tracing("delays")
    with tracing.request({**PREDICT, "path": "/health"}) as probe:
        assert probe is None
    with tracing.request(PREDICT) as request:
        end_request(request, 503)
    tracing.close()
    printed = capsys.readouterr().out
    assert '"service.name": "delays"' in printed
    assert '"status_code": "ERROR"' in printed
    assert printed.count('"trace_id"') == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "OTEL_TRACES_EXPORTER",
            "zipkin",
            "OTEL_TRACES_EXPORTER = 'zipkin': no exporter of spans; it is otlp, console",
        ),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "'http/json': spans go by http/protobuf or grpc"),
    ],
)
def test_an_unknown_exporter_is_refused_by_its_name(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        Tracing("delays")
