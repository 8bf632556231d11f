"""A receiver of OpenTelemetry's traces and metrics by OTLP over HTTP, which keeps what it is sent."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Received:
    """A span or a metric with its attributes and those of the process that sent it."""

    name: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    raw: Any


@dataclass
class Receiver:
    """What was received, in the order of arrival.

    Attributes
    ----------
    metrics : one for each data point
    """

    url: str = ""
    spans: list[Received] = field(default_factory=list)
    metrics: list[Received] = field(default_factory=list)

    def add_spans(self, body: bytes) -> bytes:
        """Keep the spans of a request; returns its answer."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            of_process = to_dict(resource.resource.attributes)
            for scope in resource.scope_spans:
                for each in scope.spans:
                    self.spans.append(Received(each.name, to_dict(each.attributes), of_process, each))
        return ExportTraceServiceResponse().SerializeToString()

    def add_metrics(self, body: bytes) -> bytes:
        """Keep the metrics of a request; returns its answer."""
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            of_process = to_dict(resource.resource.attributes)
            for each in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                for point in getattr(each, each.WhichOneof("data")).data_points:
                    self.metrics.append(Received(each.name, to_dict(point.attributes), of_process, each))
        return ExportMetricsServiceResponse().SerializeToString()


def to_dict(attributes: Any) -> dict[str, Any]:
    """Attributes as they were set."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port, for as long as the block lasts."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            add = {"/v1/traces": receiver.add_spans, "/v1/metrics": receiver.add_metrics}[self.path]
            answer = add(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
