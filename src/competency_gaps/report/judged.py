"""Results of whole benchmarks and what became of judged items, in lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from competency_gaps.text import integer, share_of, shorten


def figure_lines(manifest: Mapping[str, Any]) -> list[str]:
    """What a run's policies and judges say of its benchmarks.

    Parameters
    ----------
    manifest : mapping
        Of the run; one without ``judging`` and ``figures`` gives no lines.
    """
    lines = []
    judging = manifest.get("judging") or {"benchmarks": {}}
    for name, count in judging["benchmarks"].items():
        who = judging["judge"] or ", ".join(judging["classifiers"]) or "nobody"
        told = f"{shorten(name, 40)}: judged by {shorten(who, 60)}, {share_of(count['scored'], count['items'])} scored"
        if count["failed"]:
            told += f", {integer(count['failed'])} answers of the judge not usable"
        if count["unasked"]:
            told += f", {integer(count['unasked'])} items not judged"
        lines.append(told)
    for benchmark in manifest["benchmarks"]:
        for policy, figures in (benchmark.get("figures") or {}).items():
            lines += [f"{shorten(benchmark['name'], 40)}, {policy}: {line}" for line in figures.get("summary", ())]
    return lines
