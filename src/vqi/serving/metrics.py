"""What the service counts, in Prometheus' text format.

The names of models and the reasons are bounded in number; nothing that a client sends becomes a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from vqi.models.result import Result
from vqi.serving.models import Change
from vqi.serving.refusals import Reason
from vqi.sinks.outbox import Outbox
from vqi.verdicts.records import Outcome

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_RATIOS = (0.1, 0.25, 0.5, 0.75, 0.9, 1, 1.1, 1.25, 1.5, 2, 4, 8)
_P_VALUES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)


class Metrics:
    """A registry of its own, so that two services may be in one process.

    Args:
        depth: The number of photographs that are scored or wait for it, now.
        most: The bound of it.
    """

    def __init__(self, depth: Callable[[], float], most: int) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "vqi_requests", "Requests, by what became of them.", ["endpoint", "outcome"], registry=registry
        )
        self._seconds = Histogram(
            "vqi_request_seconds", "From a request's header to the end of its answer.", ["endpoint"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._refused = Counter("vqi_refused", "Requests that were refused, by reason.", ["reason"], registry=registry)
        self._scored = Counter("vqi_scored", "Photographs, by verdict.", ["model", "verdict"], registry=registry)
        self._verdicts = Counter(
            "vqi_verdicts",
            "Operators' verdicts, by what they say of the model.",
            ["model", "outcome"],
            registry=registry,
        )
        self._scoring = Histogram(
            "vqi_scoring_seconds", "Decoding and scoring of a photograph.", ["model"], buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self._ratios = Histogram(
            "vqi_score_to_threshold", "Scores, as multiples of the threshold.", ["model"], buckets=_RATIOS,
            registry=registry,
        )  # fmt: skip
        self._p_values = Histogram(
            "vqi_p_value", "Share of good parts that are at least as unusual.", ["model"], buckets=_P_VALUES,
            registry=registry,
        )  # fmt: skip
        self._version = Gauge("vqi_model_version", "The version that is served.", ["model"], registry=registry)
        self._reloads = Counter(
            "vqi_reloads", "Looks for a new version that found one, or could not look.", ["model", "outcome"],
            registry=registry,
        )  # fmt: skip
        Gauge("vqi_queue_depth", "Photographs that are scored or wait for it.", registry=registry).set_function(depth)
        Gauge("vqi_queue_limit", "Beyond it, requests are answered with 503.", registry=registry).set(most)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)

    def request(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request that ended."""
        self._requests.labels(endpoint, _outcome(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def refused(self, reason: Reason) -> None:
        """Count a refusal."""
        self._refused.labels(reason).inc()

    def scored(self, model: str, result: Result) -> None:
        """Count a photograph that has a score."""
        self._scored.labels(model, "flagged" if result.flagged else "passed").inc()
        self._scoring.labels(model).observe(result.seconds)
        if result.threshold > 0:
            self._ratios.labels(model).observe(result.score / result.threshold)
        self._p_values.labels(model).observe(result.p_value)

    def answered(self, model: str, outcome: Outcome) -> None:
        """Count a verdict of an operator."""
        self._verdicts.labels(model, outcome).inc()

    def serves(self, model: str, version: int) -> None:
        """Which version of a model is served, and that nothing of it was counted yet."""
        self._version.labels(model).set(version)
        for verdict in ("flagged", "passed"):
            self._scored.labels(model, verdict)
        for change in (Change.SWAPPED, Change.FAILED, Change.AWAY):
            self._reloads.labels(model, change.value)

    def sends(self, outbox: Outbox) -> None:
        """Count what becomes of messages to a sink, from now on."""
        self._registry.register(_Sink(outbox))

    def reloaded(self, model: str, change: Change) -> None:
        """Count what a look for a new version found."""
        if change is not Change.NONE:
            self._reloads.labels(model, change.value).inc()


class _Sink(Collector):
    """What an outbox counts itself."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def collect(self) -> Iterator[Metric]:
        """See ``Collector``."""
        counts = self._outbox.counts
        messages = CounterMetricFamily(
            "vqi_sink_messages", "Messages to the sink, by what became of them.", labels=["outcome"]
        )
        for outcome in ("delivered", "refused", "dropped"):
            messages.add_metric([outcome], getattr(counts, outcome))
        yield messages
        yield CounterMetricFamily("vqi_sink_failures", "Attempts to send that failed.", counts.failures)
        yield GaugeMetricFamily("vqi_sink_waiting", "Messages that wait for the sink.", self._outbox.waits)


def _outcome(status: int) -> str:
    if status < 400:
        return "answered"
    return "busy" if status == 503 else "refused" if status < 500 else "failed"
