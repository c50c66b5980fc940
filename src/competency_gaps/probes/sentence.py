"""A probe's result as a sentence."""

from __future__ import annotations

from competency_gaps.probes.targets import Target
from competency_gaps.probes.verdict import Finding
from competency_gaps.text import magnitude, plural, shorten, signed, visible


def sentence(target: Target, found: Finding) -> str:
    """What fresh items say of a concept, for people."""
    who = f"Concept {target.concept}" + (f" ({shorten(visible(target.label), 80)})" if target.label else "")
    claim = "weakness" if found.claim == "weak" else "strength"
    if target.status != found.claim:
        who += f", {target.status} in the run"
    if found.verdict == "too few items":
        return (
            f"{who}: too few fresh items to say whether its {claim} holds "
            f"({found.exciting:,} that excite it, {found.comparison:,} beside them)."
        )
    heads = {
        "holds": f"{who}: the {claim} holds.",
        "not shown": f"{who}: fresh items do not show the {claim}.",
        "reversed": f"{who}: fresh items show the opposite of the {claim}.",
    }
    mean = f"{found.mean:.2f} ({found.mean_low:.2f} to {found.mean_high:.2f})"
    if found.kind == "contrast":
        body = (
            f"{plural(found.exciting, 'fresh item')} that excite it score {mean}; items of the same families that do "
            f"not would give {found.expected:.2f} (from {found.comparison:,})"
        )
    else:
        body = (
            "Its families have too few items either with or without it to compare the two, so strength counts: "
            f"{plural(found.exciting, 'fresh item')}, weighted by activation, score {mean}; their families' "
            f"average is {found.expected:.2f}"
        )
    spread = f"{signed(found.difference_low)} to {signed(found.difference_high)}"
    tests = f"p = {magnitude(found.p_value)}, q = {magnitude(found.q_value)}"
    return f"{heads[found.verdict]} {body}. Difference {signed(found.difference)} ({spread}), {tests}."
