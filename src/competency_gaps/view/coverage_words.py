"""A run's coverage in sentences: what its items are about, and what they miss."""

from __future__ import annotations

from collections.abc import Sequence

from competency_gaps.findings.coverage import (
    CLOSE_LIKENESS,
    COARSE_SHARE,
    MAX_TOPICS,
    MIN_IN_SCOPE,
    MIN_LIKENESS,
    MIN_SHARE,
    BenchmarkCoverage,
    Coverage,
)
from competency_gaps.findings.redundancy import Redundancy
from competency_gaps.util.text import integer, listing, percent, plural, shorten


def coverage_answer(report: Coverage) -> list[str]:
    """Return sentences on the first missing topics, or that there are none; empty without an atlas."""
    return [] if report.whole is None else _missing(report, report.whole)


def coverage_words(report: Coverage) -> list[str]:
    """Return sentences on what the items are about, absent concepts, and which parts add to the others."""
    about = [_concepts(report)] if report.whole is None else _about(report, report.whole)
    return about if report.redundancy is None else [*about, _adding(report.redundancy)]


def _missing(report: Coverage, whole: BenchmarkCoverage) -> list[str]:
    """Return a sentence or two on each of the first missing topics; or that there are none, or that this is unknown."""
    lines = []
    for topic in whole.missing[:MAX_TOPICS]:
        some = f"{integer(topic.items)}" if topic.items else "none"
        owner = "its scope" if len(report.benchmarks) == 1 else f"the scope of {topic.scope_of}"
        beside = f"{owner} names it (a guess by names)"
        if topic.expected is not None:
            asked = percent(topic.expected, 1)
            beside = (
                f"the benchmarks most like it otherwise ({_and(topic.similar)}) ask it in {asked} of items (median)"
            )
        line = f"Missing: {topic.name}: {some} of {plural(whole.items, 'item')}; {beside}."
        by = f" Public benchmarks that ask it: {', '.join(topic.asked_by)}." if topic.asked_by else ""
        lines.append(line + by)
    if lines:
        more = len(whole.missing) - len(lines)
        return [*lines[:-1], lines[-1] + f" And {plural(more, 'more topic')}." * (more > 0)]
    if whole.within:
        return ["Nothing is missing: each topic that its scope names has 1% of the items or more."]
    if whole.inside:
        seen = percent(sum(whole.shares[region] for region in whole.inside), 1)
        return [f"What its scope lacks cannot be said: {seen} of its items are of topics that it names (a guess)."]
    similar = [name for name, like in whole.nearest if like >= MIN_LIKENESS]
    name, like = whole.nearest[0]
    if len(similar) < 2 and like < CLOSE_LIKENESS:
        return [
            "What is missing cannot be said: fewer than two public benchmarks are similar (the nearest, "
            f"{name}: {100 * like:.0f} of 100), and no scope tells."
        ]
    least = percent(whole.detectable, 1)
    few = f" With {plural(whole.items, 'item')} only topics that those ask in {least} or more would show."
    return [
        f"Nothing is clearly missing beside the most similar benchmarks ({_and(similar)})."
        f"{few if whole.detectable > COARSE_SHARE else ''}"
    ]


def _about(report: Coverage, whole: BenchmarkCoverage) -> list[str]:
    """Return sentences on what the items are about, the regions of the scope, and absent concepts."""
    top = [part for part in report.regions if part.level == 1]
    largest = sorted(top, key=lambda part: -part.share)
    enough = next((k for k in (1, 2) if sum(part.share for part in largest[:k]) >= 0.5), 3)
    about = _and([f"{part.name} ({percent(part.share, 1)})" for part in largest[:enough]])
    exercised = sum(part.share >= MIN_SHARE for part in top)
    (first, like), *others = whole.nearest
    near_ = _and([f"{first} ({100 * like:.0f} of 100)", *(f"{name} ({100 * like:.0f})" for name, like in others)])
    unlike = f"; {percent(whole.unlike, whole.items)} are unlike anything in the atlas" * (whole.unlike > 0)
    headline = (
        f"{whole.name}: {plural(whole.items, 'item')}, mostly about {about}; they cover {exercised} of {len(top)} "
        f"coarse regions{unlike}. Most similar of {plural(report.public, 'benchmark')}: {near_}."
    )
    if whole.scope is None or whole.inside is None:
        return [headline, *_absent_words(report)]
    says = f"Its stated scope is “{shorten(str(whole.scope), 200)}”. "
    if whole.inside:
        inside = [f"{report.regions[region].name} ({percent(whole.shares[region], 1)})" for region in whole.inside]
        says += f"Regions with a matching name (a guess): {_and(inside)}."
        says += f" They hold fewer than {percent(MIN_IN_SCOPE, 1)} of its items." * (not whole.within)
    else:
        says += "No region of the atlas has a matching name."
    return [headline, says, *_absent_words(report)]


def _absent_words(report: Coverage) -> list[str]:
    """Return a sentence on absent concepts by region; empty if there are none."""
    parts = [
        f"of “{report.regions[topic.region].name}”: {', '.join(f'“{lack.label}”' for lack in topic.concepts)}"
        for topic in report.absent
    ]
    return [f"In no item, {'; '.join(parts)}."] if parts else []


def _concepts(report: Coverage) -> str:
    """Return a sentence on how many concepts occur in no item, and how many would be absent by chance."""
    whole = report.all
    named = {"labelled": "named ", "automatic": "automatically named ", "unlabelled": ""}[report.counted]
    occur = "occurs" if whole.missing == 1 else "occur"
    said = f"{integer(whole.missing)} of {plural(whole.concepts, f'{named}concept')} {occur} in none of your items"
    if whole.by_chance is not None:
        chance = "fewer than 1" if whole.by_chance < 1 else f"about {whole.by_chance:,.0f}"
        said += f"; {chance} would be absent from ordinary text of this length"
    said += "." + f" {integer(whole.thin)} more {'is' if whole.thin == 1 else 'are'} far rarer than there." * (
        whole.thin > 0
    )
    return said


def _adding(redundancy: Redundancy) -> str:
    """Return a sentence on which parts measure something that the others do not."""
    names = [part.name for part in redundancy.parts if part.adds]
    parts = plural(len(redundancy.parts), redundancy.what)
    named = f" ({listing(names, len(names))})" if names else ""
    return (
        f"{len(names)} of {parts} add something that the others do not measure{named}; "
        f"{percent(redundancy.common, 1)} of the differences between {redundancy.models} models lie along one axis."
    )


def _and(names: Sequence[str]) -> str:
    """Join names: ``a, b and c``."""
    return ", ".join(names[:-1]) + (" and " if names[1:] else "") + "".join(names[-1:])
