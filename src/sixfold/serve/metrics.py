"""What the service counts and times, in a Prometheus registry of its own."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """The registry and its series; names follow the conventions of Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._decisions = Counter("sixfold_decisions", "Decisions made", ["release"], registry=self.registry)
        self._rungs = Counter("sixfold_rungs", "Steps down the degradation ladder", ["rung"], registry=self.registry)
        self._incomplete = Counter("sixfold_incomplete_slates", "Slates shorter than asked", registry=self.registry)
        self._decide = Histogram(
            "sixfold_decide_seconds", "From request to durable answer", buckets=_SECONDS, registry=self.registry
        )
        self._stage = Histogram(
            "sixfold_stage_seconds", "Time in each stage", ["stage"], buckets=_SECONDS, registry=self.registry
        )
        self._events = Counter("sixfold_events", "Events by verdict", ["stream", "verdict"], registry=self.registry)
        self._refused = Counter("sixfold_refused_requests", "Requests refused", ["status"], registry=self.registry)
        self._offset = Gauge("sixfold_state_offset", "Events folded into the state", registry=self.registry)
        self._waiting = Gauge("sixfold_waiting_rows", "Rows not durable yet", registry=self.registry)
        self._swaps = Counter("sixfold_release_swaps", "Release moves by outcome", ["outcome"], registry=self.registry)

    def decided(self, release: str, rungs: Iterable[str], took_ns: Mapping[str, int], *, complete: bool) -> None:
        """Count a decision, its rungs and its stages."""
        self._decisions.labels(release).inc()
        for rung in rungs:
            self._rungs.labels(rung).inc()
        for stage, took in took_ns.items():
            self._stage.labels(stage).observe(took / 1e9)
        if not complete:
            self._incomplete.inc()

    def answered(self, seconds: float) -> None:
        """Time a decision from request to answer."""
        self._decide.observe(seconds)

    def ingested(self, stream: str, verdict: str, count: int) -> None:
        """Count events."""
        if count:
            self._events.labels(stream, verdict).inc(count)

    def refused(self, status: int) -> None:
        """Count a request that was not served."""
        self._refused.labels(str(status)).inc()

    def swapped(self, outcome: str) -> None:
        """Count a release that was loaded or refused."""
        self._swaps.labels(outcome).inc()

    def exposition(self, *, offset: int, waiting: int) -> bytes:
        """All series in the text format of Prometheus."""
        self._offset.set(offset)
        self._waiting.set(waiting)
        text: bytes = generate_latest(self.registry)
        return text
