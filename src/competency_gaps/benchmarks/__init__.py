"""Benchmarks: items with answers, read from files, the hub, generators or Python objects."""

from competency_gaps.benchmarks.item import Benchmark, Item, LeftOut, SourceReport
from competency_gaps.benchmarks.load import SOURCES, load_benchmark, load_suite
from competency_gaps.benchmarks.objects import benchmark_from_objects
from competency_gaps.benchmarks.rows import Record

__all__ = [
    "SOURCES",
    "Benchmark",
    "Item",
    "LeftOut",
    "Record",
    "SourceReport",
    "benchmark_from_objects",
    "load_benchmark",
    "load_suite",
]
