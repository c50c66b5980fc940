"""Find the public SAEs that fit a model, and recommend some."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from competency_gaps.embedded import SAES, embedded_sae
from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.sae.directory import PLACES, read_directory, saelens_installed
from competency_gaps.sae.model_names import Relation, names_of, nearest_models, relation

PACKAGE = "package"
"""``labels`` of an embedded SAE, whose own folder holds them."""
_DEPTH = 0.6
"""Depth of the proposed layer, as a share of the last layer with an SAE: early layers have literal concepts."""
_SPECIAL = re.compile(r"_step_\d+|_seed_\d+")
"""Ids of intermediate steps of training, and of repetitions with another seed."""


@dataclass(frozen=True)
class SaeEntry:
    """An SAE that fits a model."""

    name: str
    """As ``--sae`` takes it: ``RELEASE/ID`` of SAELens' directory, or ``embedded:NAME``."""
    release: str | None
    """Release in SAELens' directory; None: it comes with this package."""
    model: str
    """The model that it was trained on."""
    relation: Relation
    """How that model is related to the requested one."""
    layer: int
    """Decoder block that it reads."""
    place: str
    """Where in the block: a key of :data:`competency_gaps.sae.directory.PLACES`."""
    width: str | None
    """Number of latents as the directory writes it (``16k``, ``24576``); None if unknown."""
    l0: float | None
    """Active latents per token, by its authors; None if unknown."""
    explained_variance: float | None
    """In [0, 1], by its authors; None if unknown."""
    labels: str | None
    """Where public labels are: ``MODEL/SOURCE`` of Neuronpedia, or ``package``; None: unknown."""
    recommended: bool = False
    """Whether it is recommended for its model, layer and place."""


@dataclass(frozen=True)
class SaeList:
    """The SAEs that fit a model."""

    model: str
    """The model as the caller named it."""
    saes: tuple[SaeEntry, ...]
    """By relation (the model's own first), layer, place and release."""
    unread: dict[str, int]
    """SAEs for the model that this package does not read: kind -> number."""
    saelens: bool
    """Whether SAELens' directory was searched; False: sae-lens is not installed."""

    def proposed(self) -> SaeEntry:
        """The SAE to start with: on the residual stream if possible, with labels, a little after the middle layer."""
        first = self.saes[0].relation
        order = list(PLACES)
        candidates = [sae for sae in self.saes if sae.recommended and sae.relation == first]
        place = min((sae.place for sae in candidates), key=order.index)
        candidates = [sae for sae in candidates if sae.place == place]
        aim = _DEPTH * max(sae.layer for sae in candidates)
        return min(candidates, key=lambda sae: (sae.labels is None, abs(sae.layer - aim), sae.layer))


def find_saes(model: str, *, layer: int | None = None, labelled: bool = False) -> SaeList:
    """Find the SAEs of SAELens' directory, and of this package, that fit a model.

    Neither torch nor sae-lens is imported, and no network is used.

    Parameters
    ----------
    model
        Hub id, folder, ``.gguf`` file, ``embedded:NAME``, or TransformerLens' name.
    layer
        Only SAEs on this decoder block; None: all.
    labelled
        Only SAEs with public labels.

    Raises
    ------
    MissingExtraError
        If this package has no SAE for the model, and sae-lens is not installed.
    UserError
        If no SAE for the model is known, or none on this layer or with labels; the message names what there is.
    """
    ours = names_of(model)
    entries = _embedded(ours)
    unread: Counter[str] = Counter()
    searched = saelens_installed()
    if searched:
        known = [entry for release in read_directory().values() for entry in release]
        relations = {name: relation(name, ours) for name in {entry.model for entry in known}}
        for entry in known:
            related = relations[entry.model]
            if related is None:
                continue
            if entry.place in PLACES and entry.layer is not None:
                entries.append(SaeEntry(**vars(entry), relation=related))
            else:
                unread[entry.place or "unknown"] += 1
    if not entries:
        if not searched:
            raise MissingExtraError("sae-lens", "run", f"Finding SAEs for {model!r}")
        raise UserError(_none_known(model, sorted(relations), unread))
    ranks, places = ("same", "base", "tuned"), list(PLACES)
    entries.sort(
        key=lambda s: (ranks.index(s.relation), s.model, s.layer, places.index(s.place), s.release or "", s.name)
    )
    marked = _mark_recommended(entries)
    return SaeList(model, tuple(_selected(model, marked, layer, labelled=labelled)), dict(unread), searched)


def _embedded(ours: Sequence[str]) -> list[SaeEntry]:
    """SAEs of this package."""
    entries = []
    for name in SAES:
        folder = embedded_sae(name)
        config = json.loads((folder / "cfg.json").read_text(encoding="utf-8"))
        facts = config["metadata"]
        related = relation(facts["model_name"], ours)
        hook = re.fullmatch(r"blocks\.(\d+)\.hook_(\w+)", facts["hook_name"])
        if related is None or hook is None:
            continue
        labels = PACKAGE if (folder / "labels.parquet").is_file() else None
        width, layer, l0 = str(config["d_sae"]), int(hook[1]), facts.get("l0")
        entries.append(SaeEntry(name, None, facts["model_name"], related, layer, hook[2], width, l0, None, labels))
    return entries


def _selected(model: str, entries: list[SaeEntry], layer: int | None, *, labelled: bool) -> list[SaeEntry]:
    """Keep the SAEs of the layer, and with labels if ``labelled``."""
    if layer is not None:
        layers = ", ".join(map(str, sorted({sae.layer for sae in entries})))
        entries = [sae for sae in entries if sae.layer == layer]
        if not entries:
            raise UserError(f"no SAE for {model!r} reads layer {layer}; there are some for the layers {layers}.")
    if labelled:
        kept = [sae for sae in entries if sae.labels is not None]
        if not kept:
            raise UserError(f"none of the {len(entries):,} SAEs for {model!r} has public labels.")
        entries = kept
    return entries


def _none_known(model: str, known: Sequence[str], unread: Counter[str]) -> str:
    if unread:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in unread.items())
        return f"no SAE for {model!r} is known that this package can read ({kinds} in SAELens' directory)."
    near = nearest_models(model, known)
    tail = f" Models with SAEs that are spelt like it: {', '.join(near)}." if near else ""
    return f"no SAE for the model {model!r} is known, neither in SAELens' directory nor in this package.{tail}"


def _mark_recommended(saes: Sequence[SaeEntry]) -> list[SaeEntry]:
    """Mark one SAE for each model, layer and place.

    Criteria in order: public labels; no intermediate step of training; canonical in its release; the width that most
    layers of the place have (the median of tied widths); the L0 nearest to the median of the remaining SAEs.
    """
    groups: dict[tuple[str, str], dict[int, list[SaeEntry]]] = {}
    for sae in saes:
        groups.setdefault((sae.model, sae.place), {}).setdefault(sae.layer, []).append(sae)
    chosen = {sae.name for layers in groups.values() for sae in _recommended(list(layers.values()))}
    return [replace(sae, recommended=sae.name in chosen) for sae in saes]


def _recommended(layers: Sequence[Sequence[SaeEntry]]) -> Iterator[SaeEntry]:
    """The SAE to recommend of each layer of one model and place."""
    leading = [_leading(layer) for layer in layers]
    usual = _usual_width([sae for layer in leading for sae in layer])
    for layer in leading:
        off = [_distance(_size(sae.width), usual) for sae in layer]
        near = [sae for sae, distance in zip(layer, off, strict=True) if distance == min(off)]
        known = [sae.l0 for sae in near if sae.l0 is not None]
        middle = statistics.median_low(known) if known else None
        yield min(near, key=lambda sae: (_distance(sae.l0, middle), sae.name))


def _leading(candidates: Sequence[SaeEntry]) -> list[SaeEntry]:
    """The SAEs that are best by labels, then step of training, then canonical."""
    ranks = [(sae.labels is None, bool(_SPECIAL.search(sae.name)), "canonical" not in sae.name) for sae in candidates]
    return [sae for sae, rank in zip(candidates, ranks, strict=True) if rank == min(ranks)]


def _usual_width(saes: Sequence[SaeEntry]) -> float | None:
    """The most frequent width, or the median of tied widths; None if most widths are unknown."""
    counts = Counter(_size(sae.width) for sae in saes)
    common = [size for size, count in counts.items() if count == max(counts.values())]
    return None if None in common else statistics.median_low([size for size in common if size is not None])


def _distance(value: float | None, aim: float | None) -> float:
    """Distance of a value from an aim; 0 if both are None, infinite if only one is."""
    if value is None or aim is None:
        return 0.0 if value is aim else math.inf
    return abs(value - aim)


def _size(width: str | None) -> float | None:
    """Number of latents of a written width, roughly: ``16k`` is 16,000."""
    if width is None:
        return None
    unit = {"k": 1_000, "m": 1_000_000}.get(width[-1])
    return float(width[:-1]) * unit if unit else float(width)
