"""The forms of metrics: what is counted in plain numbers, as Prometheus' families. Every name begins with PREFIX."""

from collections.abc import Mapping
from itertools import accumulate
from math import inf

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from exness.runtime.meters import Histogram

PREFIX = "exness_"


def gauge(name: str, what: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, what, labels=[label])


def counter(name: str, what: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(PREFIX + name, what, labels=labels)


def plain(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, what, value=value)


def total(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, what, value=value)


def counted(name: str, what: str, counters: Mapping[str, int]) -> Metric:
    family = counter(name, what, "reason")
    for reason, count in list(counters.items()):
        family.add_metric([reason], count)
    return family


def histogram(name: str, what: str, figures: Histogram) -> Metric:
    return HistogramMetricFamily(PREFIX + name, what, buckets=buckets(figures), sum_value=figures.total)


def buckets(figures: Histogram) -> list[tuple[str, float]]:
    bounds = [*figures.bounds, inf]
    sums = accumulate(figures.counts)
    return [
        ("+Inf" if bound == inf else repr(float(bound)), float(up_to))
        for bound, up_to in zip(bounds, sums, strict=True)
    ]
