"""An answer in words: every sentence about an answer, its findings and its caveats, for all views.

Names, labels and examples were written by others and are not escaped: each view must escape a sentence in its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from competency_gaps.findings.finding import MAX_FINDINGS, STRATA, Answer, Belief, Caveat, Finding
from competency_gaps.util.errors import argument
from competency_gaps.util.text import listing, percent, plural, share_of, shorten, signed, visible

if TYPE_CHECKING:
    from competency_gaps.evidence.outcomes import Outcome

UNSCORED = "no item has a score, so this run shows only what its items test."
SIDE = 5
"""Findings of each side, weaker and stronger, that a view shows first."""
UNSURE = "the interval includes no difference from comparable items."
"""Explains “?” after points, or “perhaps” before a side, where only a model's first line is shown."""
KEPT_SIDES: dict[Belief, int] = {"solid": 95, "likely": 87, "a hint": 74}
"""Of 100 lines with this word, those whose gap has the same sign on held-out items (``validation/own_profile.py``)."""
WHOLE = 0.0195
"""Minimum gap whose points are written without a decimal."""
MOSTLY = 0.9
"""If at least this share of a slice's items is scored, only the scored ones are mentioned."""
FAMILIES = {
    "columns": "a column of the items",
    "regions": "a region of the atlas",
    "profiles": "items with similar concepts",
    "clusters": "items with similar texts",
    "concepts": "a concept",
    "features": "a feature of the text",
    "lists": "an entry of a list",
    "skills": "a skill",
}
"""What a slice of each family is; a plug-in's family is called by its name."""
_FAILED = {
    "list": "on items that half-samples leave out, most listed slices do not keep the sign of their gap",
    "split_halves": "two halves of the items barely agree on scores by concept",
    "prediction": "concepts predict failures no better than benchmark means do",
    "against": "the other run barely agrees on scores by concept",
}


def signed_points(gap: float) -> str:
    """Return a gap between scores in [0, 1] in points of 100: ``−18``; below two points with a decimal, ``+0.6``."""
    return signed(100 * gap, 0 if abs(gap) >= WHOLE else 1)


def interval(low: float, high: float) -> str:
    """Return the ends of an interval in points: ``−26 to −11``."""
    digits = 0 if max(abs(low), abs(high)) >= WHOLE else 1
    return f"{signed(100 * low, digits)} to {signed(100 * high, digits)}"


def level(mean: float, answer: Answer) -> str:
    """Return a mean score in words: ``42.7% right``, or ``mean score 0.43`` if answers can get parts of a point."""
    if answer.kind == "parsed":
        return f"{100 * mean:.1f}% of answers could be read"
    return f"{100 * mean:.1f}% right" if answer.right else f"mean score {mean:.2f}"


def headline(answer: Answer) -> str:
    """Return whose answer it is, how good the model is, and what its slices are compared with, in a sentence or two."""
    name, mean = model_name(answer), _mean(answer)
    if mean is None:
        return f"{name}: {UNSCORED}"
    start = f"{name}: {level(mean, answer)}{_by_chance(answer.chance)}"
    if answer.kind == "difference" and answer.outcome is not None:
        start += f", {signed(100 * answer.outcome, 1)} points against {short_name(answer.against[0])}"
    against = _beside(answer)
    if not answer.findings:
        return f"{start}. {nothing(answer)}"
    if answer.kind == "difference":
        return f"{start}. Where the change is below or above that, in points expected on new items:"
    away = [one.numbers["distance"] for one in answer.caveats if one.code == "peers"]
    near = f"{100 * away[0]:.0f} points away on average" if away else "models at its level"
    who = f" ({near})" if answer.kind == "peers" else ""
    return f"{start}. {against[0].upper()}{against[1:]}{who}, in points expected on new items:"


def _mean(answer: Answer) -> float | None:
    """Return the mean of the outcome: of scores, or of whether answers could be parsed."""
    return answer.outcome if answer.kind == "parsed" else answer.mean


def model_name(answer: Answer) -> str:
    """Name the model that an answer is about."""
    return shorten(short_name(answer.model), 80)


def _beside(asked: Answer | Outcome) -> str:
    """Return what the gaps are measured against, in words."""
    if asked.kind == "difference":
        return f"against {short_name(asked.against[0])}"
    return f"against {plural(len(asked.against), 'peer')}" if asked.kind == "peers" else "against its own average"


def gap_of(row: Mapping[str, Any], outcome: Outcome) -> str:
    """Return in words the gap in a row of :func:`~competency_gaps.findings.answer.slice_table`, or why it has none."""
    if row["gap"] is None:
        return f"none: {row['reason'] or 'scores do not vary'}"
    spread = interval(row["low"], row["high"])
    return f"{signed_points(row['gap'])} points ({spread}) {_beside(outcome)}, {plural(row['items'], 'item')}"


def nothing(answer: Answer) -> str:
    """Return a sentence: no slice stands out, or it cannot be told whether any does."""
    what = "changed differently from the whole" if answer.kind == "difference" else f"stands out {_beside(answer)}"
    if not answer.tested:
        return (
            f"Whether any slice {what} cannot be told: each has too few scored items or no comparable items outside "
            "it, or the scores do not vary."
        )
    return f"None of {plural(answer.tested, 'slice')} {what}. Small differences may exist all the same."


def sides(answer: Answer) -> tuple[list[Finding], list[Finding]]:
    """Return the weaker and the stronger findings, each in the order of the list."""
    return [one for one in answer.findings if one.gap < 0], [one for one in answer.findings if one.gap >= 0]


def shown(answer: Answer, most: int = SIDE) -> list[Finding]:
    """Return the findings that a view shows first: at most ``most`` of each side."""
    return [finding for side in sides(answer) for finding in side[:most]]


def points_of(finding: Finding) -> str:
    """Return a finding's gap in points or, for two models, the difference expected on its items."""
    return signed_points(finding.gap if finding.change is None else finding.change)


def spread_of(finding: Finding) -> str:
    """Return the 95% interval of :func:`points_of`."""
    if finding.change_low is None or finding.change_high is None:
        return interval(finding.low, finding.high)
    return interval(finding.change_low, finding.change_high)


def count(finding: Finding) -> str:
    """Count a finding's scored items: ``84``, or ``71 of 84`` where more than a tenth has no score."""
    return f"{finding.items:,}" + ("" if finding.items >= MOSTLY * finding.of_items else f" of {finding.of_items:,}")


def size(finding: Finding) -> str:
    """Count a finding's scored items: ``84 items``, ``71 of 84 items``."""
    return f"{count(finding)} item" + ("" if finding.of_items == 1 else "s")


def share_right(answer: Answer, finding: Finding) -> str:
    """Return the share of right answers, and by chance if notable; empty if gaps are not of plain scores."""
    if answer.kind != "score" or not answer.right or finding.mean is None:
        return ""
    other = finding.chance is not None and percent(finding.chance, 1) != percent(answer.chance or 0, 1)
    return f"{100 * finding.mean:.0f}%" + (_by_chance(finding.chance) if other else "")


def _by_chance(chance: float | None) -> str:
    """Return what guessing would get, in brackets; empty if unknown."""
    return "" if chance is None else f" ({percent(chance, 1)} by chance)"


def size_and_level(answer: Answer, finding: Finding) -> str:
    """Its items and, where gaps are those of scores themselves, how many are right: ``20 items, 15% right``."""
    share = share_right(answer, finding)
    return size(finding) + (f", {share} right" if share else "")


def found_again(finding: Finding) -> str:
    """Return how often half-samples choose the slice again, and its gap on the other items."""
    if not finding.in_halves:
        return f"chosen again by none of {plural(finding.halves, 'half-sample')}"
    rest = "" if finding.in_halves == finding.halves else " (others may list one that overlaps)"
    text = f"chosen again by {finding.in_halves} of {plural(finding.halves, 'half-sample')}{rest}"
    if finding.heldout_gap is None or finding.heldout_low is None or finding.heldout_high is None:
        return text
    shift = 0.0 if finding.change is None else finding.change - finding.gap
    spread = interval(finding.heldout_low + shift, finding.heldout_high + shift)
    return f"{text}; measured on the items left out: {signed_points(finding.heldout_gap + shift)} ({spread})"


def believed(finding: Finding) -> str:
    """Return a sentence on how far to believe a finding, and why."""
    kept = KEPT_SIDES[finding.belief]
    return f"{finding.belief.capitalize()}: of 100 such lines {kept} keep their side on other items."


def beliefs(findings: Sequence[Finding]) -> str:
    """Return a sentence on what the beliefs of these findings mean."""
    used = {one.belief for one in findings}
    parts = [f"“{word}” {kept}" for word, kept in KEPT_SIDES.items() if word in used]
    return f"Of 100 such lines, so many keep their side on other items: {', '.join(parts)}."


def line_name(answer: Answer, finding: Finding, room: int) -> str:
    """Return a finding's name, and the line that contains it: by its name if there is room."""
    name = visible(" ".join(finding.name.split()))
    if finding.within is None:
        return name
    whole = f"{name} (within {visible(answer.findings[finding.within - 1].name)})"
    return whole if len(whole) <= room else f"{name} (within line {finding.within})"


def rests_on(answer: Answer, finding: Finding) -> str | None:
    """Return what explains part of a gap: ``Its gap is partly explained by numbers (40%), math (35%).``; None:
    nothing.
    """
    slices = {one.name: f"“{one.name.strip('“”')}”" for one in answer.findings}
    others = [(name, part) for name, part in finding.rests_on if name != STRATA]
    parts = [f"{slices.get(name, covariate_words(name))} ({percent(part, 1)})" for name, part in others]
    start = "Each alone explains part of its gap:" if len(parts) > 1 else "Its gap is partly explained by"
    lines = [f"{start} {', '.join(parts)}."] if parts else []
    # A difference of two models is shown whole, whatever it is compared with.
    for part in (part for name, part in finding.rests_on if name == STRATA and answer.kind != "difference"):
        away = percent(part, 1)
        lines.append(f"Holding length and the like equal takes away {away} of its difference from all items.")
    return " ".join(lines) or None


def finding_headline(answer: Answer, finding: Finding) -> str:
    """A finding as one sentence, with its model and what it is compared with."""
    return f"{model_name(answer)}, {_beside(answer)}, in points expected on new items: {sentence_of(answer, finding)}."


def side(answer: Answer, finding: Finding) -> str:
    """The side of a finding; a difference of two models is below or above that on all items."""
    if answer.kind == "difference":
        return "below" if finding.gap < 0 else "above"
    return "weaker" if finding.gap < 0 else "stronger"


def unsure(finding: Finding) -> bool:
    """Whether the interval of a finding's gap includes 0."""
    return finding.low <= 0 <= finding.high


def sentence_of(answer: Answer, finding: Finding) -> str:
    """A finding as one sentence, without its model."""
    gap = f"{points_of(finding)} points ({spread_of(finding)})"
    mean = "" if finding.mean is None else f", {level(finding.mean, answer)}{_by_chance(finding.chance)}"
    text = "" if answer.kind == "difference" else f"{side(answer, finding)} on "
    return f"{text}{finding.name}: {gap}, {size(finding)}{mean}; {finding.belief}"


def pictured(answer: Answer) -> list[Finding]:
    """Return the three largest findings, preferring those whose interval excludes 0."""
    sure = [one for one in answer.findings if not unsure(one)]
    largest = sorted(sure or answer.findings, key=lambda one: -abs(one.gap))[:3]
    return [one for one in answer.findings if one in largest]


def plain_level(answer: Answer) -> str:
    """Return how good a model is, in words for those who see an answer for the first time."""
    mean = _mean(answer)
    if mean is None or not answer.findings:
        return headline(answer)
    chance = "" if answer.chance is None else f"; guessing would get {percent(answer.chance, 1)}"
    said = f"{model_name(answer)}: {level(mean, answer)} of {plural(answer.scored, 'item')}{chance}"
    return f"{said}. {_beside(answer)[0].upper()}{_beside(answer)[1:]}, in points of 100:"


def plain_sentence(answer: Answer, finding: Finding) -> str:
    """A finding as a sentence of its own; its points stand beside it."""
    text = f"{'perhaps ' if unsure(finding) else ''}{side(answer, finding)}"
    share = share_right(answer, finding)
    return f"It is {text} on {finding.name}: {share + ' right of ' if share else ''}{size(finding)}."


def background(answer: Answer, finding: Finding, lies_in: Sequence[tuple[str, float]]) -> list[str]:
    """Return sentences on what is behind a finding: belief, half-samples, explanations of its gap, overlapping
    slices.
    """
    again = found_again(finding)
    lines = [believed(finding), f"{again[0].upper()}{again[1:]}.", rests_on(answer, finding)]
    if lies_in:
        places = (f"{percent(share, 1)} in “{cut_at_word(name, NAME_LIMIT)}”" for name, share in lies_in)
        lines.append(f"Where its items lie: {', '.join(places)}.")
    return [line for line in lines if line]


def outcome_words(answer: Answer, score: float | None, outcome: float | None) -> str:
    """Return how a model did on one item: ``wrong``, ``score 0.40``, and the score expected from peers or the
    other's.
    """
    if score is None:
        return "unscored"
    if answer.kind == "parsed":
        return "could be read" if outcome else "could not be read"
    text = _score_words(answer, score)
    if outcome is None or answer.kind == "score":
        return text
    if answer.kind == "difference":
        return f"{text}; {short_name(answer.against[0])}: {_score_words(answer, score - outcome)}"
    return f"{text}; its peers suggest {100 * min(max(score - outcome, 0.0), 1.0):.0f}%"


def _score_words(answer: Answer, score: float) -> str:
    """One score in words."""
    return ("wrong", "right")[round(score)] if answer.right else f"score {score:.2f}"


def model_sentence(answer: Answer) -> str:
    """Return a sentence about a model: its score, its worst and its best slice."""
    mean = _mean(answer)
    if mean is None:
        return headline(answer)
    parts = [
        f"{'perhaps ' * unsure(side[0])}{word} on {side[0].name} ({points_of(side[0])})"
        for word, side in zip(("weakest", "strongest"), sides(answer), strict=True)
        if side
    ]
    text = ", ".join(parts) or "nothing stands out"
    return f"{model_name(answer)}: {level(mean, answer)}; {_beside(answer)}, {text}."


def coverage_of_scores(answer: Answer) -> str:
    """Return how many of the items have an outcome: ``96% of items scored``."""
    return f"{percent(answer.scored, answer.items)} of {plural(answer.items, 'item')} scored"


def closing(answer: Answer, most: int = SIDE) -> str:
    """The line below a list: how many items are scored, what is not shown, and how to see more."""
    left = len(answer.findings) - len(shown(answer, most))
    parts = [coverage_of_scores(answer)]
    if answer.findings:
        parts.append(f"a line's items: {argument('slice')} N")
    if left:
        parts.append(f"{see_all(len(answer.findings), 'lines', max(map(len, sides(answer))))} per side")
    if answer.caveats:
        parts.append(f"{plural(len(answer.caveats), 'caveat')}: {argument('caveats')}")
    text = "; ".join(parts) + "."
    if answer.findings:
        text += f" {beliefs(shown(answer, most))}"
    if len(answer.findings) == MAX_FINDINGS and not all(sides(answer)):
        text += f" A list ends after {MAX_FINDINGS} lines: what it leaves out may be on the other side."
    return text


def see_all(count: int, what: str, limit: int | None = None) -> str:
    """Return how to see the rest of a list: ``all 20 slices: --limit 20``."""
    return f"all {count:,} {what}: {argument('limit')} {limit or count}"


def item_text(prompt: str, most: int) -> str:
    """The beginning of an item on one line, cut after a word."""
    return cut_at_word(" ".join(prompt.split()), most)


def cut_at_word(text: str, most: int) -> str:
    """Cut a text after a word (or a part that a semicolon ends), so that it has at most so many characters."""
    if len(text) <= most:
        return text
    head = text[: max(most - 1, 1)]
    part = head.rfind(";")
    if part > most / 2:
        return head[:part]
    space = head.rfind(" ")
    return (head[:space] if space > most / 2 else head).rstrip(" ,;:.") + "…"


BAD = ("gate", "judge_by_place", "robustness")
"""Codes of caveats that put the whole list in doubt: views show them above it."""


def caveats(answer: Answer) -> list[str]:
    """The caveats of an answer, each in a sentence."""
    return [caveat_words(caveat) for caveat in answer.caveats]


def caveat_words(caveat: Caveat) -> str:
    """A caveat as a sentence; one of an unknown code as its code and numbers."""
    write = _CAVEATS.get(caveat.code)
    if write is not None:
        return write(caveat.numbers)
    return f"{caveat.code}: {', '.join(f'{name} {value}' for name, value in caveat.numbers.items())}."


def _gate_words(n: Mapping[str, Any]) -> str:
    """The SAE explains too little of the activations."""
    explained = n.get("explained_variance")
    share = "too little" if explained is None or explained <= 0 else f"only {percent(explained, 1)}"
    return (
        f"The SAE failed its gate: it explains {share} of the activations that it reads, so slices built from "
        "concepts may reflect the SAE's errors."
    )


def _judge_words(n: Mapping[str, Any]) -> str:
    """The judge prefers one position."""
    return (
        f"The judge of {shorten(n['benchmark'], NAME_LIMIT)} is swayed by position: the answer that it reads first "
        f"gets {percent(n['first'], 1)} of the points, and its verdicts in the two orders agree on only "
        f"{percent(n['agreement'], 1)} of {plural(n['items'], 'item')}. Its scores say little about the model."
    )


def _robustness_words(n: Mapping[str, Any]) -> str:
    """Robustness tests that failed."""
    failures = "; ".join(_FAILED.get(code, code) for code in n["failed"])
    failed = f"{len(n['failed'])} of {plural(n['tests'], 'robustness test')} failed"
    return f"{failed}: {failures}. Treat the list as a hint."


def _unscored_words(n: Mapping[str, Any]) -> str:
    """Items without a score, and whether they differ from the others."""
    text = f"{share_of(n['missing'], n['items'])} items have no score; the list covers the others"
    if n.get("difference") is None or abs(n["difference"]) < WHOLE:
        return f"{text}."
    side = "harder" if n["difference"] < 0 else "easier"
    sample = f"the unscored ones are {side} for other models ({signed_points(n['difference'])} points)"
    return f"{text}, which are not a fair sample: {sample}."


def _rests_words(n: Mapping[str, Any]) -> str:
    """Properties that explain much of a gap."""
    parts = (f"by {covariate_words(name)} in {_lines(lines)}" for name, lines in n["lines"].items())
    return f"At least a third of the gap is explained {'; '.join(parts)}."


def _lines(numbers: Sequence[int]) -> str:
    """Numbers of lines: ``lines 1, 2 and 5``."""
    *most, last = map(str, numbers)
    return f"lines {', '.join(most)} and {last}" if most else f"line {last}"


_FORMS = {
    "answer_position": "the right option is {}",
    "answer_length": "the right option is {}",
    "options": "there are {}",
}


def _trend_words(n: Mapping[str, Any]) -> str:
    """A trend with the answer key or with the form of the items."""
    side = "weaker" if n["difference"] < 0 else "stronger"
    begin = "It is" if n.get("benchmark") is None else f"In {shorten(n['benchmark'], NAME_LIMIT)} it is"
    where = _FORMS.get(n["covariate"], f"{covariate_words(n['covariate'])} is {{}}").format(shorten(n["category"], 40))
    return (
        f"{begin} {side} where {where} ({signed_points(n['difference'])} points). This is an effect of the items' "
        "form, and gaps are not adjusted for it."
    )


def _repeats_words(n: Mapping[str, Any]) -> str:
    """Clusters of items count once."""
    what = f"{share_of(n['repeats'], n['items'])} items repeat another one, word for word or nearly"
    if not n["repeats"]:
        what = "Some items belong together, such as questions on one passage"
    return f"{what}. Each cluster counts once, so {n['items']:,} items count as {n['clusters']:,}."


def _peers_words(n: Mapping[str, Any]) -> str:
    """Peers that are few or far in score."""
    return (
        f"The mean scores of its {plural(n['peers'], 'peer')} differ from its own by {100 * n['distance']:.0f} points "
        "on average. With few or distant peers, what is hard for every model can look like a weakness of this one."
    )


def _verdict_words(n: Mapping[str, Any]) -> str:
    """Slices with too few scored items for a verdict."""
    named = listing([f"“{cut_at_word(name, NAME_LIMIT)}”" for name in n["names"]], n["slices"], most=3)
    what = "slice has" if n["slices"] == 1 else "slices have"
    return f"{n['slices']:,} {what} too few scored items for a verdict (under {percent(n['floor'], 1)}): {named}."


def _rate_words(n: Mapping[str, Any]) -> str:
    """Return how the list was chosen, and how often it errs."""
    kinds = ", ".join(n["families"])
    return (
        f"From {plural(n['tested'], 'slice')} ({kinds}), the list picks those that explain what no earlier line "
        f"explains. Gaps rest on all of them: where texts or a reading bring others, gaps move. Where there is nothing "
        f"to find, {percent(n['error'], 1)} of lists still name a slice."
    )


_CAVEATS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "gate": _gate_words,
    "judge_by_place": _judge_words,
    "robustness": _robustness_words,
    "rests_on": _rests_words,
    "unscored": _unscored_words,
    "no_verdict": _verdict_words,
    "trend": _trend_words,
    "strata": lambda n: f"Gaps compare items {equal_words(n['covariates'])}.",
    "repeats": _repeats_words,
    "excluded": lambda n: f"{share_of(n['excluded'], n['items'])} items were left out when the run was made.",
    "lens": lambda n: (
        f"Concepts come from {shorten(short_name(n['reads']), 80)}, which read the items for this run; without its "
        "slices the list can have other lines."
    ),
    "remark": lambda n: f"{n['text'][:1].upper()}{n['text'][1:].rstrip('.')}.",
    "peers": _peers_words,
    "rate": _rate_words,
    "too_small": lambda n: (
        f"Not tested: {plural(n['slices'], 'slice')} with too few items, or with nearly all of them."
    ),
    "unchecked": lambda _: "The list has not been tested on subsamples: check the run.",
}


def equal_words(covariates: Sequence[str]) -> str:
    """Return what compared items have in common: ``at equal length``."""
    words = [covariate_words(str(name)) for name in covariates]
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"at equal {listed}".replace("equal the ", "the same ")


def caveats_headline(answer: Answer) -> str:
    """Return the line above the caveats, with the models that gaps are measured against."""
    named = f" ({', '.join(map(short_name, answer.against))})" if answer.kind == "peers" else ""
    return f"Before you trust the answer about {model_name(answer)}, {_beside(answer)}{named}:"


def answer_words(answer: Answer) -> dict[str, Any]:
    """All sentences of an answer, for machines that pass them on: nothing in them that its fields do not say."""
    return {
        "headline": headline(answer),
        "findings": [sentence_of(answer, finding) for finding in answer.findings],
        "scored": f"{coverage_of_scores(answer)}.",
        "caveats": caveats(answer),
    }


NAME_LIMIT = 60
"""Letters after which a name is cut in a sentence."""
COVARIATES = {
    "group": "the items' group",
    "ending": "the ending of the text",
    "answer_position": "the position of the right option",
    "answer_length": "the rank of the right option by length",
    "options": "the number of options",
}
"""Words for the properties that compared items share; any other name (``length``, a column's) is its own word."""


def short_name(name: str) -> str:
    """Return the last part of a folder's path; a name on the hub (``owner/model``) stays whole."""
    name = name.removeprefix("embedded:")
    return name.rstrip("/").rsplit("/", 1)[-1] if name.startswith(("/", ".", "~")) else name


def covariate_words(name: str) -> str:
    """Return the words for a covariate by which items are stratified."""
    return COVARIATES.get(name, shorten(name, NAME_LIMIT))


def alike(evidence: Mapping[str, Any]) -> str:
    """Return what compared items have in common: ``at equal length``; empty if they only share the benchmark.

    Parameters
    ----------
    evidence : mapping
        The manifest's ``evidence``.
    """
    names = evidence.get("strata") or ()
    return equal_words([str(name) for name in names]) if names else ""
