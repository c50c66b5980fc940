"""Benchmarks: items with answers, read from files, the hub, generators or Python objects."""
