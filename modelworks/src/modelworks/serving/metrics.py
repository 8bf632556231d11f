"""The API's metrics for Prometheus; each app has its own registry."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
PAGE_S = (0.25, 0.5, 1, 2.5, 5, 10, 30)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class ApiMetrics:
    """The counters of one app.

    Parameters
    ----------
    environment : the chosen one; "" if there is none
    """

    def __init__(self, environment: str = "") -> None:
        self.registry = registry = CollectorRegistry()
        if environment:
            named = Gauge("api_environment_info", "1 for the environment", ["environment"], registry=registry)
            named.labels(environment).set(1)
        self.requests = Counter("api_requests", "Answers by path and status", ["path", "status"], registry=registry)
        self.latency = Histogram(
            "api_request_seconds", "Time to answer", ["path"], buckets=LATENCY_S, registry=registry
        )
        self.rows = Counter("api_rows", "Rows predicted", registry=registry)
        self.batch = Histogram("api_batch_rows", "Rows predicted in one go", buckets=ROWS, registry=registry)
        self.model = Gauge("api_model_info", "1 for the version that answers", ["version", "source"], registry=registry)
        self.by_treelite = Gauge(
            "api_model_by_treelite", "1 where treelite predicts few rows, 0 where the estimator does", registry=registry
        )
        self.reload_failures = Counter(
            "api_model_reload_failures", "Attempts to load a champion that failed", registry=registry
        )
        self.registry_failures = Counter(
            "api_registry_failures", "Times that the registry did not name the champion", registry=registry
        )
        self.log_queue = Gauge("api_log_queue_rows", "Predictions that wait to be written", registry=registry)
        self.log_written = Counter("api_log_written_rows", "Predictions written to the storage", registry=registry)
        self.log_dropped = Counter(
            "api_log_dropped_rows", "Predictions that were answered but not logged", registry=registry
        )
        self.log_failures = Counter("api_log_write_failures", "Attempts to write that failed", registry=registry)
        self.page = Histogram("api_page_seconds", "Time to build the page at /", buckets=PAGE_S, registry=registry)
        self.denied = Counter(
            "api_denied_requests", "Requests that were denied, by reason", ["reason"], registry=registry
        )
        self.authenticated = Counter(
            "api_authenticated_requests", "Authenticated requests, by the name of the key", ["key"], registry=registry
        )
        self.access_failures = Counter(
            "api_access_failures", "Attempts to read the keys or the issuer that failed", ["source"], registry=registry
        )
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def count_answer(self, path: str, status: int, seconds: float) -> None:
        """Count one answer."""
        # Looking a label up takes longer than counting.
        if (path, status) not in self._children:
            self._children[path, status] = self.requests.labels(path, status), self.latency.labels(path)
        requests, latency = self._children[path, status]
        requests.inc()
        latency.observe(seconds)
