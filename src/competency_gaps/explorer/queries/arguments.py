"""What each query may be asked with; the JSON schemas of tool calls come from here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema

from competency_gaps.matching.outcomes import Outcome

MOST_ROWS = 50
"""Most rows of one answer [ours]."""

PerformanceStatus = Literal["weak", "strong", "negligible", "typical", "insufficient", "untested"]
ConceptKind = Literal["contextual", "mixed", "token", "format", "position", "template", "dense"]
CoverageStatus = Literal["missing", "under", "typical", "over"]
Level = Literal["theme", "subtheme"]
ConceptId = Annotated[int, Field(ge=0, description="Id of a concept.")]
Rows = Annotated[int, Field(ge=1, le=MOST_ROWS, description="Most rows of the answer.")]
ShortText = Annotated[str, Field(min_length=1, max_length=200)]
_ORDER = (
    "What to sort by; undefined values come last. With gap and chi_model, either way, what was tested comes first, "
    "then what has too little data (insufficient), then what is untested."
)
ModelName = Annotated[str, Field(min_length=1, max_length=500, description="Name of a model, as models gives it.")]
Name = Annotated[str, Field(min_length=1, max_length=500, description="Name of a benchmark, exactly as it is written.")]


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class Arguments(BaseModel):
    """Arguments of a query: unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def schema_of(cls) -> dict[str, Any]:
        """JSON schema, without the titles that only repeat names."""
        schema = cls.model_json_schema(schema_generator=_Untitled)
        del schema["title"]
        return schema


class Nothing(Arguments):
    """No arguments."""


class ListFindings(Arguments):
    """Which findings."""

    verdict: Literal["weak", "strong"] | None = Field(None, description="Only weak (strong) ones.")
    benchmark: Name | None = Field(
        None, description="Only findings of which this benchmark holds a tenth or more; its exact name."
    )
    holds: bool | None = Field(
        None, description="Only those that the other half of the items shows (true), or not clearly (false)."
    )
    limit: Rows = 10


class OneFinding(Arguments):
    """One finding."""

    finding: int = Field(ge=0, description="Number of the finding, as findings gives it.")


class TopConcepts(Arguments):
    """Which concepts, in which order."""

    status: PerformanceStatus | None = Field(None, description="Only concepts with this verdict on performance.")
    coverage: CoverageStatus | None = Field(
        None, description="Only concepts with this coverage; missing: active in no item."
    )
    theme: int | None = Field(None, ge=0, description="Only members of this theme.")
    benchmark: Name | None = Field(
        None, description="Numbers within this benchmark instead of over the whole suite; its exact name."
    )
    text: ShortText | None = Field(None, description="Only concepts whose label contains this, regardless of case.")
    min_n_eff: float | None = Field(None, ge=0, description="Only concepts with at least this effective sample.")
    leaders_only: bool = Field(
        False, description="Of weak (strong) concepts that share their items, only the one that leads each group."
    )
    kind: ConceptKind | None = Field(
        None,
        description="Only concepts of this kind, ranked or not; contextual ones are counted by rankings, "
        "and topics, skills and ways of talking are among them; mixed: the texts in which it is strongest have no "
        "meaning in common; the others say what a text looks like.",
    )
    all_kinds: bool = Field(False, description="Also concepts that no ranking counts, for their kind or as dead.")
    vanishes: bool = Field(
        False, description="Only concepts whose plain gap stands up to the test and whose gap does not."
    )
    sort: Literal[
        "gap",
        "plain_gap",
        "q_value",
        "chi_model",
        "chi_bench",
        "lift",
        "support",
        "n_eff",
        "density",
        "chance_seen",
        "concept",
    ] = Field("gap", description=_ORDER)
    descending: bool = Field(False, description="Highest first. With sort 'gap', lowest first is weakest first.")
    limit: Rows = 10


class OneConcept(Arguments):
    """One concept."""

    concept: ConceptId
    examples: int = Field(2, ge=0, le=5, description="Items of each kind (strongest, best, worst).")


class FindItems(Arguments):
    """Which items."""

    benchmark: Name | None = None
    group: ShortText | None = Field(None, description="Only items of this sub-topic; its exact name.")
    min_score: float | None = Field(None, ge=0, le=1, description="Only scored items with at least this score.")
    max_score: float | None = Field(None, ge=0, le=1, description="Only scored items with at most this score.")
    finding: int | None = Field(None, ge=0, description="Only items of this finding, those that weigh most first.")
    repeats: bool = Field(False, description="Each of the items that ask the same, instead of the first for all.")
    unscored: bool = Field(False, description="Only items without a score, excluded ones among them.")
    text: ShortText | None = Field(
        None, description="Only items whose prompt, response, answer or id contains this, regardless of case."
    )
    concept: int | None = Field(None, ge=0, description="Only items in which this concept is active, strongest first.")
    limit: Rows = 10


class OneItem(Arguments):
    """One item."""

    item: int = Field(ge=0, description="Row of the item, as find_items gives it.")


class ListThemes(Arguments):
    """Which themes, in which order."""

    level: Level = Field("theme", description="Themes, or the finer subthemes.")
    status: PerformanceStatus | None = Field(None, description="Only themes with this verdict on performance.")
    text: ShortText | None = Field(None, description="Only themes whose name contains this, regardless of case.")
    sort: Literal["gap", "chi_model", "chi_bench", "weak_concepts", "missing_concepts", "concepts", "n_eff", "id"] = (
        Field("gap", description=_ORDER)
    )
    descending: bool = Field(False, description="Highest first.")
    limit: Rows = 20


class OneTheme(Arguments):
    """One theme or subtheme."""

    theme: int = Field(ge=0, description="Id of the theme (of the subtheme, if level says so).")
    level: Level = "theme"
    concepts: int = Field(
        10,
        ge=0,
        le=MOST_ROWS,
        description="Most of its concepts to list: tested ones first, the weakest of them first; then those with too "
        "little data.",
    )


class ModelThemes(Arguments):
    """Which cells of models against themes."""

    model: ModelName | None = Field(None, description="Only this model; its exact name, as models gives it.")
    theme: int | None = Field(None, ge=0, description="Only this theme.")
    against_peers: bool = Field(
        False, description="Scores against models of the model's level, so that an item's difficulty is no weakness."
    )
    status: Literal["weak", "strong"] | None = Field(None, description="Only weak (strong) cells.")
    limit: Rows = 20


class ModelGroups(Arguments):
    """Which cells of models against groups of concepts."""

    model: ModelName | None = Field(None, description="Only this model; its exact name, as models gives it.")
    concept: int | None = Field(None, ge=0, description="Only the group that this concept leads.")
    against_peers: bool = Field(
        False, description="Scores against models of the model's level, so that an item's difficulty is no weakness."
    )
    status: Literal["weak", "strong"] | None = Field(None, description="Only weak (strong) cells.")
    limit: Rows = 20


class TwoModels(Arguments):
    """Two models of the run."""

    candidate: ModelName
    baseline: ModelName
    limit: Rows = 20


class KnownWeaknesses(Arguments):
    """Which entries of which list."""

    list_number: int = Field(0, ge=0, description="Number of the list, as the answer numbers them; 0: the first.")
    outcome: Outcome | None = Field(
        None,
        description="Only entries that a weak concept matches (weak), that only concepts match which the suite misses "
        "or under-represents (untested), that other concepts match (matched), and so on.",
    )
    text: ShortText | None = Field(None, description="Only entries that contain this, regardless of case.")
    limit: Rows = 20


class OneKnownWeakness(Arguments):
    """One entry of a list."""

    number: int = Field(ge=0, description="Number of the entry, as known_weaknesses gives it.")
    examples: int = Field(3, ge=0, le=10, description="Most of its examples to show.")


class TwoBenchmarks(Arguments):
    """Two benchmarks."""

    first: Name
    second: Name
    concepts: int = Field(5, ge=0, le=20, description="How many concepts to list on which they differ most, each way.")


class Suggested(Arguments):
    """Which suggestions."""

    kind: Literal["missing", "weak", "redundant", "robustness", "label"] | None = None
