"""Find the public SAEs that fit a model, in SAELens' directory and in this package, and recommend some.

The directory is a table of facts in this package, so that a list needs no SAELens (``recipes/sae_directory.py``).
"""

from __future__ import annotations

import gzip
import json
import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from competency_gaps.embedded import SAES, embedded_sae
from competency_gaps.model.load import versions
from competency_gaps.util.errors import UserError, argument, nearest, no_such

Relation = Literal["same", "base", "tuned"]
"""Whether an SAE's model is the requested model, its base model, or an instruction-tuned version of it."""
PACKAGE = "package"
"""``labels`` of an embedded SAE, whose folder holds them."""
SITES = {
    "resid_post": "residual stream after a layer",
    "resid_pre": "residual stream before a layer",
    "resid_mid": "residual stream between attention and MLP",
    "mlp_out": "output of the MLP",
    "attn_out": "output of the attention",
    "attn_z": "attention heads before their output projection",
    "transcoder": "input of the MLP, whose output it rebuilds",
}
"""Sites at which this package reads activations, with their descriptions."""
UNREAD_SITES = {"cross_layer": "cross-layer transcoder", "temporal": "temporal SAE", "embedding": "embedding SAE"}
"""Sites of SAEs that this package does not read, with their descriptions."""

_DEPTH_SHARE = 0.6
"""Depth of the proposed layer, as a share of the last layer with an SAE: early layers have literal concepts."""
_STEP_OR_SEED = re.compile(r"_step_\d+|_seed_\d+")
"""Matches ids of intermediate steps of training, and of repetitions with another seed."""
_CACHE = re.compile(r"(?:^|.*/)models--.+?--(.+?)(?:/snapshots/[^/]+)?")
_GENERIC = re.compile(
    r"(checkpoint|ckpt|step|epoch|iter|global[-_]?step)[-_]?\d*|\d+|v\d+|\d+(\.\d+)?[bm]|final|last|latest|best|main|"
    r"model|models|merged|weights|output|hf|default"
)
_QUANTISED_FILE = re.compile(r"[.-](?:i?q\d\w*|b?f16|fp16|f32)$")
_TUNED = {"it", "instruct", "chat"}
_BASE = {"pt", "base"}
_SAME_WEIGHTS = {"hf", "gguf", "awq", "gptq", "bnb", "fp8", "int4", "int8", "4bit", "8bit"}
"""Parts of a name that only say how the weights are stored."""
_HUB = {
    "gpt2-small": "openai-community/gpt2",
    "mistral-7b": "mistralai/Mistral-7B-v0.1",
    "pythia-70m-deduped": "EleutherAI/pythia-70m-deduped",
    **{f"gemma-{size}": f"google/gemma-{size}" for size in ("2b", "2b-it", "2-2b", "2-9b", "2-9b-it", "2-27b")},
    **{f"qwen3-{size}b": f"Qwen/Qwen3-{size}B" for size in ("0.6", "1.7", "4", "8", "14")},
}
"""Hub ids of models that the directory names without an owner."""
_ALIASES = {"gpt2-small": "gpt2", "mistral-7b": "mistral-7b-v0.1"}
"""TransformerLens' names that differ from the last part of the hub id; a test compares them with its table."""


@dataclass(frozen=True)
class SaeEntry:
    """An SAE that fits a model."""

    name: str
    """As ``--sae`` takes it: ``RELEASE/ID`` of SAELens' directory, or ``embedded:NAME``."""
    release: str | None
    """Release in SAELens' directory; None if it comes with this package."""
    model: str
    """The model that it was trained on."""
    relation: Relation
    """How that model is related to the requested one."""
    layer: int
    """Decoder block that it reads; -1 if unknown, only for SAEs that are not listed."""
    site: str
    """Where in the block: a key of :data:`SITES`; if it is not read, a key of :data:`UNREAD_SITES`, or ``unknown``."""
    width: str | None
    """Number of latents as the directory writes it (``16k``, ``24576``); None if unknown."""
    l0: float | None
    """Active latents per token, as its authors state; None if unknown."""
    labels: str | None
    """Where public labels are: ``MODEL/SOURCE`` of Neuronpedia, or ``package``; None if unknown."""
    recommended: bool = False
    """Whether it is the recommended SAE of its model, layer and site."""


@dataclass(frozen=True)
class SaeList:
    """The SAEs that fit a model."""

    model: str
    """The model as the caller named it."""
    saes: tuple[SaeEntry, ...]
    """Sorted by relation (the model's own first), layer, site and release."""
    unread: dict[str, int]
    """Number of SAEs for the model that this package does not read, by kind."""
    saelens: str
    """The version of SAELens whose directory was searched."""

    def hub_id(self) -> str:
        """Return the model as ``--model`` takes it: a bare name gets the owner of the model that the SAEs are for."""
        if re.search(r"[/\\:]|\.gguf$", self.model) or Path(self.model).exists():
            return self.model
        entry = self.saes[0]
        known = _HUB.get(entry.model, entry.model)
        other = _HUB.get(self.model.lower(), f"{known.rpartition('/')[0]}/{self.model}")
        return known if entry.relation == "same" else other

    def proposed(self) -> SaeEntry:
        """Return the SAE to start with: on the residual stream if possible, with labels, a little after the middle."""
        first = self.saes[0].relation
        candidates = [sae for sae in self.saes if sae.recommended and sae.relation == first]
        site = min((sae.site for sae in candidates), key=list(SITES).index)
        candidates = [sae for sae in candidates if sae.site == site]
        aim = _DEPTH_SHARE * max(sae.layer for sae in candidates)
        return min(candidates, key=lambda sae: (sae.labels is None, abs(sae.layer - aim), sae.layer))


def find_saes(model: str, *, layer: int | None = None) -> SaeList:
    """Return the SAEs of SAELens' directory, and of this package, that fit a model.

    Neither torch nor sae-lens is imported, and no network is used.

    Parameters
    ----------
    model
        Hub id, folder, ``.gguf`` file, ``embedded:NAME``, or TransformerLens' name.
    layer
        Only SAEs on this decoder block; None: all.

    Raises
    ------
    UserError
        If no SAE for the model is known, none can be read, or none is on this layer; the message names what there is.
    """
    ours = names_of(model)
    entries = _embedded(ours)
    unread: Counter[str] = Counter()
    saelens, directory = _directory()
    related = {model: relation(model, ours) for model in {sae.model for sae in directory}}
    for sae in directory:
        relative = related[sae.model]
        if relative is not None and sae.site in SITES and sae.layer >= 0:
            entries.append(replace(sae, relation=relative))
        elif relative is not None:
            unread[sae.site] += 1
    if not entries and unread:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in unread.items())
        raise UserError(f"no SAE for {model!r} can be read by this package ({kinds} in SAELens' directory).")
    if not entries:
        raise UserError(
            f"no SAE for the model {model!r} is in SAELens' directory."
            f"{nearest(model.rpartition('/')[2], sorted(related))} Train one, or let the bundled model read the items: "
            f"leave out {argument('model')} and {argument('sae')}."
        )
    ranks, sites = ("same", "base", "tuned"), list(SITES)
    entries.sort(
        key=lambda s: (ranks.index(s.relation), s.model, s.layer, sites.index(s.site), s.release or "", s.name)
    )
    kept = tuple(sae for sae in _mark_recommended(entries) if layer in (None, sae.layer))
    if not kept:
        layers = ", ".join(map(str, sorted({sae.layer for sae in entries})))
        raise UserError(f"no SAE for {model!r} reads layer {layer}; choose one of the layers {layers}.")
    return SaeList(model, kept, dict(unread), saelens)


def _embedded(ours: Sequence[str]) -> list[SaeEntry]:
    """Return the embedded SAEs that fit a model with one of these names."""
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
        entries.append(SaeEntry(name, None, facts["model_name"], related, layer, hook[2], width, l0, labels))
    return entries


def _mark_recommended(saes: Sequence[SaeEntry]) -> list[SaeEntry]:
    """Return the SAEs with one marked as recommended for each model, layer and site.

    Criteria in order: public labels; no intermediate step of training; canonical in its release; the width that most
    layers at the site have (the median of tied widths); the L0 nearest to the median of the remaining SAEs.
    """
    groups: dict[tuple[str, str], dict[int, list[SaeEntry]]] = {}
    for sae in saes:
        groups.setdefault((sae.model, sae.site), {}).setdefault(sae.layer, []).append(sae)
    chosen = {sae.name for layers in groups.values() for sae in _recommended(list(layers.values()))}
    return [replace(sae, recommended=sae.name in chosen) for sae in saes]


def _recommended(layers: Sequence[Sequence[SaeEntry]]) -> Iterator[SaeEntry]:
    """Yield the recommended SAE of each layer, for one model and site."""
    leading = []
    for layer in layers:
        ranks = [
            (sae.labels is None, bool(_STEP_OR_SEED.search(sae.name)), "canonical" not in sae.name) for sae in layer
        ]
        leading.append([sae for sae, rank in zip(layer, ranks, strict=True) if rank == min(ranks)])
    widths = Counter(_size(sae.width) for layer in leading for sae in layer)
    usual = statistics.median_low([size for size, count in widths.items() if count == max(widths.values())])
    for layer in leading:
        off = [abs(_size(sae.width) - usual) for sae in layer]
        near = [sae for sae, distance in zip(layer, off, strict=True) if distance == min(off)]
        known = [sae.l0 for sae in near if sae.l0 is not None]
        middle = statistics.median_low(known) if known else 0.0
        yield min(near, key=lambda sae: (math.inf if sae.l0 is None else abs(sae.l0 - middle), sae.name))


def _size(width: str | None) -> float:
    """Return the number of latents of a written width, roughly: ``16k`` is 16,000; 0 if unknown."""
    if width is None:
        return 0.0
    unit = {"k": 1_000, "m": 1_000_000}.get(width[-1])
    return float(width[:-1]) * unit if unit else float(width)


def check_release(release: str, sae_id: str) -> None:
    """Raise UserError for a release or an id that SAELens' directory does not have.

    Hub repositories (``a/b``) pass. So does everything if another version of SAELens than the table's is installed,
    which itself says what it does not have.

    Raises
    ------
    UserError
        If the release or the id is unknown.
    """
    saelens, directory = _directory()
    ids = [sae.name.removeprefix(f"{release}/") for sae in directory if sae.release == release]
    if sae_id in ids or "/" in release or saelens != versions().get("sae-lens"):
        return
    if not ids:
        known = dict.fromkeys(str(sae.release) for sae in directory)
        raise UserError(f"SAE release {release!r} is not in SAELens' directory.{nearest(release, known)}")
    raise no_such(f"the release {release!r} has no SAE", sae_id, ids)


def listed(release: str, sae_id: str) -> SaeEntry | None:
    """Return an SAE of SAELens' directory; None if the directory does not have it."""
    return next((sae for sae in _directory()[1] if sae.name == f"{release}/{sae_id}"), None)


def trained_on(theirs: str, model: str) -> str | None:
    """Return a sentence if an SAE was trained on the base or tuned version of a model; None for the same or another."""
    kind = relation(theirs, names_of(model))
    if kind not in ("base", "tuned"):
        return None
    return f"trained on the {'base' if kind == 'base' else 'tuned'} model {theirs}, not on {model}"


@cache
def _directory() -> tuple[str, list[SaeEntry]]:
    """Return SAELens' version and the SAEs of its directory, each with the relation "same".

    A row of the file holds the SAEs of a release that differ only in layer and L0: ``{}`` in its id and labels stands
    for the layer, ``[]`` for the L0.
    """
    content = json.loads(gzip.decompress((Path(__file__).parent / "directory.json.gz").read_bytes()))

    def filled(text: str | None, layer: int, l0: float | None) -> str | None:
        return text and text.replace("{}", str(layer)).replace("[]", f"{l0 or 0:g}")

    return content["saelens"], [
        SaeEntry(
            f"{release}/{filled(sae_id, *at)}", release, model, "same", at[0], site, width, at[1], filled(labels, *at)
        )
        for release, model, sae_id, site, width, labels, every in content["rows"]
        for at in every
    ]


class ModelName(NamedTuple):
    """The parts of a model's name that matter, independent of its spelling."""

    core: str
    """Family, generation and size in lower case: ``gemma-2-2b``."""
    version: Literal["plain", "base", "tuned"]
    """What the name says about training: nothing, ``-pt`` or ``-base``, or ``-it``, ``-instruct`` or ``-chat``."""
    checkpoint: tuple[str, ...]
    """What follows in a path, such as ``checkpoint-500``."""


def read_model_name(name: str) -> ModelName:
    """Return the parts of a hub id, a folder, a ``.gguf`` file, ``embedded:NAME`` or TransformerLens' name.

    The organisation is ignored: mirrors have another one, and TransformerLens' names have none.
    """
    name = name.strip().removeprefix("embedded:").replace("\\", "/").rstrip("/")
    cached = _CACHE.fullmatch(name)
    parts = [part for part in (cached[1] if cached else name).lower().split("/") if part]
    at = next((i for i in reversed(range(len(parts))) if not _GENERIC.fullmatch(parts[i])), len(parts) - 1)
    last = parts[at] if parts else ""
    if last.endswith(".gguf"):
        last = _QUANTISED_FILE.sub("", last.removesuffix(".gguf"))
    last = last.replace("_", "-").removeprefix("meta-")
    words = last.split("-")
    version: Literal["plain", "base", "tuned"] = "plain"
    if _TUNED & set(words[1:]):
        version = "tuned"
    elif _BASE & set(words[1:]):
        version = "base"
    dropped = _TUNED | _BASE | _SAME_WEIGHTS
    core = "-".join(word for site, word in enumerate(words) if site == 0 or word not in dropped)
    return ModelName(_ALIASES.get(core, core), version, tuple(parts[at + 1 :]))


def names_of(model: str) -> list[str]:
    """Return the names of a model: as it is named and, for a folder of transformers, as its configuration records."""
    file = Path(model).expanduser() / "config.json"
    names = [model]
    if file.is_file():
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            return names
        recorded = config.get("_name_or_path") if isinstance(config, dict) else None
        if recorded:
            names.append(str(recorded))
    return names


def relation(theirs: str, ours: Iterable[str]) -> Relation | None:
    """Return how the model that SAEs were trained on is related to the requested one; None if it is another model.

    Parameters
    ----------
    theirs
        Name of the model that the SAEs were trained on.
    ours
        Names of the requested model; the closest relation counts.
    """
    their = read_model_name(theirs)
    relations: list[Relation] = []
    for name in ours:
        our = read_model_name(name)
        if their.core != our.core:
            continue
        if their.version == our.version:
            relations.append("same")
        elif their.version == "base" or our.version == "tuned":
            relations.append("base")
        else:
            relations.append("tuned")
    return min(relations, key=("same", "base", "tuned").index, default=None)
