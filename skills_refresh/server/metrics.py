"""`Metrics`: what Prometheus gets to read, from a registry of its own, so that a host's is left alone.

What the engine knows already is looked up when it is asked for; only requests are counted as they come.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from ..encoding import path_json
from ..health import Mode
from .served import ServedWorkspace

_MODES: tuple[Mode, ...] = ("native", "polling", "degraded", "missing")
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Metrics:
    """Counts requests, and tells of `served`. `following` is how many requests wait for news at the moment: those of
    subscribers, and those that ask for a later version."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self, served: Callable[[], Iterable[ServedWorkspace]]) -> None:
        self.following = 0
        self._served = served
        self._registry = CollectorRegistry(auto_describe=True)
        self._requests = Counter(
            "skills_refresh_requests", "Requests that were answered.", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "skills_refresh_request_seconds",
            "How long it took until answers began.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._counters: dict[tuple[str, int], Counter] = {}
        self._registry.register(self)

    def count(self, route: str, status: int, seconds: float) -> None:
        """Counts one request."""
        counter = self._counters.get((route, status))
        if counter is None:
            counter = self._counters[route, status] = self._requests.labels(route, str(status))
        counter.inc()
        self._seconds.observe(seconds)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing: names are known when `collect` is called."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What is true just now; called by the registry."""
        gauges = {
            name: GaugeMetricFamily(f"skills_refresh_{name}", described, labels=labels)
            for name, described, labels in (
                ("version", "The version of the current snapshot.", ["workspace"]),
                ("skills", "How many skills there are.", ["workspace"]),
                ("problems", "How many problems there are.", ["workspace", "code"]),
                ("subscribers", "How many follow the events.", ["workspace"]),
                ("root_mode", "1 for the mode that the root is in.", ["workspace", "root", "mode"]),
                ("watched_directories", "How many directories are watched.", ["workspace", "root"]),
                ("polled_directories", "How many directories are polled.", ["workspace", "root"]),
            )
        }
        counters = {
            name: CounterMetricFamily(f"skills_refresh_{name}", described, labels=labels)
            for name, described, labels in (
                ("events", "Events that were sent, once for each however many follow.", ["workspace"]),
                ("cut_off", "Subscribers that were cut off because they read too slowly.", ["workspace"]),
                ("found_by_audit", "Directories that an audit found to differ, untold.", ["workspace", "root"]),
                ("failures", "Bugs that the engine survived.", ["workspace", "root"]),
            )
        }
        for served in self._served():
            self._collect_one(served, gauges, counters)
        yield from gauges.values()
        yield from counters.values()

    def _collect_one(
        self, served: ServedWorkspace, gauges: dict[str, GaugeMetricFamily], counters: dict[str, CounterMetricFamily]
    ) -> None:
        name, hub = served.name, served.hub
        if hub is None:
            return
        gauges["version"].add_metric([name], hub.snapshot.version)
        gauges["skills"].add_metric([name], len(hub.snapshot.skills))
        for code, number in Tally(found.code for found in hub.snapshot.problems).items():
            gauges["problems"].add_metric([name, code], number)
        gauges["subscribers"].add_metric([name], len(hub.subscribers))
        counters["events"].add_metric([name], hub.sent)
        counters["cut_off"].add_metric([name], hub.cut_off)
        for health in served.health():
            root = [name, path_json(health.path)]
            for mode in _MODES:
                gauges["root_mode"].add_metric([*root, mode], float(health.mode == mode))
            gauges["watched_directories"].add_metric(root, health.watched_dirs)
            gauges["polled_directories"].add_metric(root, health.polled_dirs)
            counters["found_by_audit"].add_metric(root, health.found_by_audit)
            counters["failures"].add_metric(root, health.failures)
