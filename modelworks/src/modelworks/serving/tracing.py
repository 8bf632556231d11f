"""Traces of predictions, by OpenTelemetry's own variables; off unless `OTEL_TRACES_EXPORTER` names an exporter."""

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from starlette.types import Scope

from modelworks.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

EXPORTER = "OTEL_TRACES_EXPORTER"
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
TRACED = "/predict"

OFF: AbstractContextManager[None] = nullcontext()


class Tracing:
    """The spans of one app.

    Parameters
    ----------
    service : name of the service where `OTEL_SERVICE_NAME` gives none
    environment : the chosen one; "" if there is none
    """

    def __init__(self, service: str, environment: str = "") -> None:
        self._provider = _make_provider(service, environment)
        self._tracer: Tracer | None = self._provider.get_tracer("modelworks.serving") if self._provider else None

    def request(self, scope: Scope) -> "AbstractContextManager[Span | None]":
        """The span of a request for predictions, below the caller's if the caller names one; others have none."""
        if self._tracer is None or scope["path"] != TRACED:
            return OFF
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        method = scope["method"]
        return self._tracer.start_as_current_span(
            f"{method} {TRACED}",
            extract(headers),
            SpanKind.SERVER,
            {"http.request.method": method, "http.route": TRACED, "request.id": scope["request_id"]},
        )

    def span(self, name: str, **attributes: "AttributeValue") -> "AbstractContextManager[Span | None]":
        """A part of the request that is answered; `_` in the name of an attribute is a dot."""
        if self._tracer is None:
            return OFF
        return self._tracer.start_as_current_span(
            name, attributes={each.replace("_", "."): value for each, value in attributes.items()}
        )

    def close(self) -> None:
        """Export what waits, for as long as the exporter's own timeout allows."""
        if self._provider:
            self._provider.shutdown()


def end_request(span: "Span | None", status: int) -> None:
    """Note how a request was answered."""
    if span is None:
        return
    from opentelemetry.trace import StatusCode

    span.set_attribute("http.response.status_code", status)
    if status >= 500:  # 4xx are the caller's, by OpenTelemetry's conventions
        span.set_status(StatusCode.ERROR)


def _make_provider(service: str, environment: str) -> "TracerProvider | None":
    name = os.environ.get(EXPORTER, "").strip().lower()
    if name in {"", "none"} or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # Without an argument for it, the name comes from OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES.
    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: service}))
    if environment:
        resource = resource.merge(Resource({"deployment.environment.name": environment}))
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(_make_exporter(name)))
    return provider


def _make_exporter(name: str) -> "SpanExporter":
    """The exporter of a name, which reads its own settings from `OTEL_EXPORTER_OTLP_...`.

    Raises
    ------
    ConfigError
        If there is none of that name, or of its protocol.
    """
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stdout)
    if name != "otlp":
        raise ConfigError(f"{EXPORTER} = {name!r}: no exporter of spans; it is otlp, console or none")
    protocol = next((value for each in PROTOCOLS if (value := os.environ.get(each))), "http/protobuf")
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as ByGrpc

        return ByGrpc()
    if protocol == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as ByHttp

        return ByHttp()
    raise ConfigError(f"{PROTOCOLS[1]} = {protocol!r}: spans go by http/protobuf or grpc")
