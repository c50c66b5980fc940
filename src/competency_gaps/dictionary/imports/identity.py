"""Is a label source about this SAE?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from competency_gaps.dictionary.imports.reading import Reading, Stated, listed
from competency_gaps.errors import UserError
from competency_gaps.text import shorten, visible


def check_identity(stated: Stated, sae_identity: dict[str, Any], width: int, *, force: bool) -> str:
    """Compare what a source says of its SAE with the SAE at hand.

    Neuronpedia's id decides where both have one, since one SAE has several names in SAELens (``canonical`` is an
    alias). Otherwise the SAELens name decides, if this SAE is a release. The width must agree where it is stated.

    Parameters
    ----------
    stated
        What the source says.
    sae_identity
        The SAE's identity: ``name``, ``neuronpedia_id``, ``hook_name`` are read.
    width
        Its number of concepts.
    force
        Go on in spite of a difference, which the answer then says.

    Returns
    -------
    str
        What was compared, for people.

    Raises
    ------
    UserError
        If they differ and ``force`` is not set, or the source is about several SAEs at once.
    """
    for kind, names in (("Neuronpedia sources", stated.neuronpedia), ("SAEs", stated.saelens)):
        if len(names) > 1:
            raise UserError(f"the labels are about several {kind}: {listed(names)}. Give the labels of one SAE.")
    here, name = sae_identity.get("neuronpedia_id"), _release_name(sae_identity)
    source, saelens = next(iter(stated.neuronpedia), None), next(iter(stated.saelens), None)
    if here and source:
        pairs = [(f"Neuronpedia id {source}", source, str(here))]
    elif saelens and name:
        pairs = [(f"SAELens name {saelens}", saelens, name)]
    else:
        pairs = []
    pairs += [(f"{other:,} concepts", f"{other:,} concepts", f"{width:,} concepts") for other in sorted(stated.widths)]
    same = [what for what, theirs, ours in pairs if theirs == ours]
    differ = [(theirs, ours) for _, theirs, ours in pairs if theirs != ours]
    if differ and not force:
        theirs, ours = (_quoted(part) for part in differ[0])
        raise UserError(
            f"the labels belong to another SAE: they are about {theirs}, but this SAE is {ours} "
            f"(name {_quoted(sae_identity.get('name'))}). Give the labels of this SAE, or force the import if you know "
            f"that both are one."
        )
    if differ:
        return "differs, taken by force: " + "; ".join(f"{_quoted(a)} is not {_quoted(b)}" for a, b in differ)
    said = source or saelens or stated.module
    if same:
        return "agrees: " + _plain(", ".join(same))
    if not said:
        return "not stated by the source; only the index range was checked"
    return (
        f"the source says {_quoted(said)}, which cannot be compared with this SAE "
        f"(name {_quoted(sae_identity.get('name'))}, read at {_quoted(sae_identity.get('hook_name'))}); "
        f"only the index range was checked"
    )


def check_range(reading: Reading, sae_identity: dict[str, Any], width: int, *, force: bool) -> None:
    """Refuse concepts that the SAE lacks; with ``force`` they are left out and counted.

    Raises
    ------
    UserError
        If there is one and ``force`` is not set.
    """
    outside = [label for label in [*reading.labels, *reading.looked_up.values()] if label.concept >= width]
    if not outside:
        return
    first = max(outside, key=lambda label: label.concept)
    if not force:
        stated = listed(reading.stated.neuronpedia | reading.stated.saelens) or "a source that does not name its SAE"
        raise UserError(
            f"the labels belong to another SAE: {_plain(first.where)} has concept {first.concept}, but this SAE "
            f"({_quoted(sae_identity.get('name'))}) has concepts 0 to {width - 1}. The labels are from {stated}. "
            f"Give the labels of this SAE, or force the import to leave such concepts out."
        )
    for concept, where in {label.concept: label.where for label in reversed(outside)}.items():
        reading.leave_out(where, f"concept beyond the SAE's {width:,}", f"concept {concept}")
    reading.labels = [label for label in reading.labels if label.concept < width]
    reading.looked_up = {concept: row for concept, row in reading.looked_up.items() if concept < width}


def _release_name(sae_identity: dict[str, Any]) -> str | None:
    """The SAE's name if it is a release of SAELens; null for a folder, which has no name there."""
    name = str(sae_identity.get("name") or "")
    local = name.startswith(("embedded:", "/", ".", "~")) or "\\" in name or "/" not in name or Path(name).is_dir()
    return None if local else name


def _quoted(value: Any) -> str:
    return repr(_plain(str(value)))


def _plain(text: str) -> str:
    return shorten(visible(text), 200)
