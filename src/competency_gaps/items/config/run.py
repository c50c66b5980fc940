"""The configuration of a whole run, and of the workers that may read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from competency_gaps.items.config.benchmark import BenchmarkConfig
from competency_gaps.items.config.llm import LLMConfig
from competency_gaps.items.config.load import Config
from competency_gaps.items.config.model import ModelConfig, SAEConfig

if TYPE_CHECKING:
    from competency_gaps.evidence import Thresholds

Span = Literal["question", "prompt", "prompt+bos", "response", "all"]
Pooling = Literal["mean", "max"]

PAPER = {"span": "prompt+bos", "pooling": "mean"}


class GenerationConfig(Config):
    """How free-text answers are generated."""

    temperature: Annotated[float, Field(ge=0)] = 0.0
    """0: greedy; above: sampled."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: int = 0
    """Seed of the sampling; each batch derives its own, so that a resumed run draws the same."""


class MetricsConfig(Config):
    """Options of the metrics; the defaults are the method's."""

    under_lift: float = -2.0
    """Lift (log2) at or below which a covered concept is under-represented."""
    over_lift: float = 2.0
    """Lift at or above which it is over-represented."""
    dense_above: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of tokens above which a concept is dense."""
    template_above: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of a concept's mass on template or boundary tokens above which it is a template concept."""
    exact_token_above: Annotated[float, Field(gt=0.5, le=1)] = 0.9
    """Share of a concept's mass on one token string at or above which it is a token concept, whatever the share of
    variance."""
    lexical_above: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the variance of a concept's activation, explained by the token, above which it is a token concept. Of 64
    concepts of an SAE of single tokens, read in six windows each, nearly all above 0.5 went with one word, its forms or
    its parts; below 0.3 hardly any did."""
    pair_above: Annotated[float, Field(gt=0, le=1)] = 0.7
    """The same of the pair of the token before and the token, as in fixed phrases (``as well as``)."""
    mixed_below: Annotated[float, Field(ge=-1, le=1)] = 0.08
    """Coherence of a concept's strongest windows below which they have no meaning in common; -1: none is mixed. Of 200
    concepts of the embedded SAE with more than 0.05, two blind readers found something to name in three of five; of
    those above 0.08, and below ``stretch_format_above``, in seven of ten."""
    word_above: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Share of a concept's mass on stretches that hold the same token, beyond chance, above which it is a token
    concept; for SAEs of averages."""
    format_above: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of a concept's mass on punctuation, white space, digits and markup above which it is a format concept."""
    stretch_format_above: Annotated[float, Field(gt=0, le=1)] = 0.35
    """The same for SAEs of averages, of whose stretches a fifth of the tokens are of this kind in ordinary text."""
    position_above: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of a concept's mass on the first tokens of texts above which it is a position concept."""


class EvidenceConfig(Config):
    """What an association of a concept needs to count as real."""

    min_n_eff: Annotated[float, Field(ge=2)] = 20.0
    """Effective sample below which a concept is not tested."""
    q: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """False-discovery rate (Benjamini-Hochberg) at or below which an association counts as real."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Coverage of the intervals."""
    min_association: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """A real association smaller than this is ``negligible``. The default, one point of a hundred, is the
    standard error of the mean of a benchmark of 2,500 items; a smaller one is nothing to act on."""
    strata: list[str] = ["length"]
    """Covariates to control for: items are compared with items of their benchmark that have equal values of ``length``
    (of the span, in tokens), ``group``, ``answer_position``, ``answer_length`` (the right option is the longest or the
    shortest), ``options`` (their number), or a covariate of the items by its name. Empty: with all others of their
    benchmark."""
    kinds: Literal["contextual", "all"] = "contextual"
    """Which kinds of concepts are ranked and tested: contextual ones (and concepts whose kind is not known), or
    concepts of every kind."""
    seed: int = 0
    """Seed of the drawn permutations."""

    @property
    def thresholds(self) -> Thresholds:
        """The settings that the statistics need."""
        from competency_gaps.evidence import Thresholds

        return Thresholds(**{name: getattr(self, name) for name in Thresholds._fields})


class SlicesConfig(Config):
    """Which slices of the items are made."""

    families: list[str] | None = None
    """``columns``, ``features``, ``lists``, ``regions`` (of the dictionary's atlas), ``profiles``, ``clusters``,
    ``skills`` and those of plug-ins; None: all for which there is what they need."""
    lists: list[Path] = []
    """Lists of weaknesses, qualities or attacks, or tags of items, as ``cgaps match`` reads them: each entry is a slice
    of the items that are its examples or carry its tag."""
    skills: bool = False
    """Whether the run's ``judge`` names the skill that each item needs; answers are kept in the run's folder."""
    embedder: str | None = None
    """Folder or hub id of the clusters' sentence-embedding model, in ONNX; None: all-MiniLM-L6-v2 in int8."""


class ScoresConfig(Config):
    """Scores of other models on a run's items."""

    path: Path
    """A table with a column ``id`` and one column per model (CSV, TSV, JSONL, Parquet), or another tool's log. A model
    whose column is called ``score``, and the only one, is called after the file."""
    kind: Literal["table", "log"] = "table"
    benchmark: str | None = None
    """The benchmark that the items are of; None: the table's column ``benchmark``, its ids or the log's name say it."""
    models: list[str] = []
    """Columns of a table that are models; empty: all but ``id`` and ``benchmark``."""
    model: str | None = None
    """What to call a log's model; None: as the log calls it, or after the file of a table of prompts and scores."""
    format: str | None = None
    """Of a log; None: detected."""
    fields: dict[str, str] = {}
    """Our field -> the column of a log with ``format: table``."""
    metric: str | None = None
    """Which metric of a log is the score; None: the format's default. Give the one that the run's benchmark has."""
    scorer: str | None = None
    """Which filter of an lm-eval log, or scorer of an Inspect log; None: the first."""
    part: str | None = None
    """Which of the benchmarks of a log; None: all."""


class RayWorkers(Config):
    """Workers of Ray that read a run's shards; they change nothing but the time that it takes."""

    address: str = "local"
    """Of a cluster that runs, such as ``auto`` or ``ray://HOST:10001``; ``local``: one is started on this machine."""
    workers: Annotated[int, Field(ge=1)] | None = None
    """Each holds the model and the SAE; None: one for each share of GPUs, or one per machine where there are none."""
    gpus_per_worker: Annotated[float, Field(ge=0)] | None = None
    """None: one where the cluster has GPUs, else none."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Of each worker; None: the machine's cores are divided among its workers."""


class ItemsConfig(Config):
    """A run of items and scores: what ``cgaps run`` needs where no model reads the items."""

    benchmarks: Annotated[list[BenchmarkConfig], Field(min_length=1)]
    out: Path | None = None
    """Run folder, unless the run is given another."""
    near_repeats: Annotated[float, Field(gt=0, le=1)] | None = 0.8
    """Similarity of words from which two items count as one piece of evidence (near-repeats); None: only identical
    items do. At 0.8, 277 of 283 pairs found in 44 public benchmarks were read as repeats; between 0.6 and 0.8,
    16 of 28 (``items/repeats.py``)."""
    evidence: EvidenceConfig = EvidenceConfig()
    slices: SlicesConfig = SlicesConfig()
    scores: list[ScoresConfig] = []
    """Scores of other models on the same items, added when the run is finished."""
    judge: LLMConfig | None = None
    """The model that scores items which need a judge; None: they stay unscored."""

    @field_validator("benchmarks")
    @classmethod
    def _different_names(cls, benchmarks: list[BenchmarkConfig]) -> list[BenchmarkConfig]:
        names = [benchmark.name for benchmark in benchmarks]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two benchmarks are named {name!r}; give each its own 'name'")
        return benchmarks


class RunConfig(ItemsConfig):
    """Everything that ``cgaps run`` needs where a model and its SAE read the items."""

    model: ModelConfig
    sae: SAEConfig
    span: Span = "question"
    """Which tokens of an item count."""
    pooling: Pooling = "mean"
    """How a concept's activations over the span become one number per item."""
    paper: bool = False
    """Set every option whose value the paper states to that value."""
    reference: Path | None = None
    """Reference statistics for lift and kinds; None: those in the SAE's folder, if there are any."""
    keep_token_activations: bool = True
    """Whether the run folder keeps the activations of single tokens, by which the explorer colours an item's text."""
    batch_tokens: Annotated[int, Field(ge=16)] | None = None
    """Most tokens of a forward pass, padding included; lower it if memory runs out. None: 512 where a processor only
    reads, else 4096."""
    generation: GenerationConfig = GenerationConfig()
    metrics: MetricsConfig = MetricsConfig()
    accept_versions: bool = False
    """Whether a run that is not read to its end goes on under another torch or transformers."""
    ask: bool = True
    """Whether the model answers the items; False: it only reads them, for scores of other models."""
    ray: RayWorkers | None = None
    """Workers of Ray that read; None: this process does."""

    @model_validator(mode="before")
    @classmethod
    def _as_in_the_paper(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not data.get("paper"):
            return data
        for key, value in PAPER.items():
            if data.get(key, value) != value:
                raise ValueError(f"paper: true sets {key} to {value!r}, but it is set to {data[key]!r}")
        return {**data, **PAPER}
