"""All queries by name, and one way to ask any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from competency_gaps.errors import UserError
from competency_gaps.explorer.queries import arguments as given
from competency_gaps.explorer.queries import benchmarks, concepts, findings, items, matches, models, suite, themes
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import QueryAnswer, bounded
from competency_gaps.text import shorten, visible

_CONCEPT_TEXTS = ("label", "other_labels", "promoted_tokens", "suppressed_tokens", "matched", "peak_token", "theme")


@dataclass(frozen=True)
class Query:
    """One read-only question about a run."""

    name: str
    description: str
    """Read by a person or a model that chooses among the queries."""
    arguments: type[given.Arguments]
    function: Callable[[Subject, Any], QueryAnswer]
    foreign: tuple[str, ...] = ()
    """Fields of the answer whose text others wrote: benchmarks, the model, makers of labels."""

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of its arguments."""
        return self.arguments.schema_of()


QUERIES: Mapping[str, Query] = {
    query.name: query
    for query in (
        Query(
            "findings",
            "Where the model does worse (weak) or better (strong) than on comparable items: groups of items in "
            "sentences, the most important first. Ask this first.",
            given.ListFindings,
            findings.list_findings,
            ("sentence",),
        ),
        Query(
            "finding",
            "One finding: its figures, whether the other half of the items shows it, failing and passing items side by "
            "side, where its items are, the concepts behind it, and the command that tests it further.",
            given.OneFinding,
            findings.one_finding,
            ("sentence", "support", "prompt", "response", "answer", "choices", "label"),
        ),
        Query(
            "overview",
            "The run's answer: what failed, the most important findings, benchmarks by score, what benchmarks lack of "
            "their stated scope, how far to trust it, and counts.",
            given.Nothing,
            suite.overview,
            ("title", "findings", "benchmarks_by_score", "scope", "trust", "confidence", "warnings"),
        ),
        Query(
            "top_concepts",
            "List concepts, filtered and sorted: weakest, strongest (tested ones first), missing, most covered; of a "
            "theme or a benchmark, or those whose label contains a text.",
            given.TopConcepts,
            concepts.top_concepts,
            ("label", "theme"),
        ),
        Query(
            "concept",
            "All about one concept: label and its provenance, numbers over the suite and per benchmark, related "
            "concepts, short examples of items.",
            given.OneConcept,
            concepts.one_concept,
            (*_CONCEPT_TEXTS, "examples"),
        ),
        Query(
            "find_items",
            "List items (questions of benchmarks) by benchmark, group, score, text, or by a concept active in them.",
            given.FindItems,
            items.find_items,
            ("prompt", "response", "answer", "group", "item_id"),
        ),
        Query(
            "item",
            "One item: prompt, response, expected answer, score, and the concepts most active in it.",
            given.OneItem,
            items.one_item,
            ("prompt", "response", "answer", "choices", "details", "group", "item_id", "label"),
        ),
        Query(
            "themes",
            "List themes (groups of concepts), filtered and sorted: the weakest (tested ones first), those with most "
            "missing concepts.",
            given.ListThemes,
            themes.list_themes,
            ("name",),
        ),
        Query(
            "theme",
            "One theme or subtheme: its numbers over the suite and per benchmark, its subthemes, its weakest concepts "
            "(tested ones first).",
            given.OneTheme,
            themes.one_theme,
            ("name", "label"),
        ),
        Query(
            "models",
            "All models whose scores on these items the run holds, with their mean scores. One model reads the items "
            "(read_by): its concepts say what an item is about, whichever model is judged.",
            given.Nothing,
            models.models,
            ("name",),
        ),
        Query(
            "model_themes",
            "How each model does on each theme: gaps with intervals, false discoveries controlled over all models and "
            "themes; or against models of its level.",
            given.ModelThemes,
            models.model_themes,
            ("model", "name"),
        ),
        Query(
            "model_groups",
            "How each model does on groups of concepts that share their items, each named after its leading concept: "
            "gaps with intervals, false discoveries controlled over all models and concepts; or against models of its "
            "level. The first time this takes a while.",
            given.ModelGroups,
            models.model_groups,
            ("model", "label"),
        ),
        Query(
            "compare_models",
            "Two models item by item: the difference of their scores overall, by benchmark and by theme, with "
            "intervals, and the smallest difference that these items could have shown.",
            given.TwoModels,
            models.compare_models,
            ("candidate", "baseline", "name"),
        ),
        Query(
            "known_weaknesses",
            "Lists of weaknesses, qualities or probes that others made, compared with the run: how many entries are "
            "recovered as weak, untested by the suite, matched, beside chance; the entries; and the weak concepts that "
            "no entry names.",
            given.KnownWeaknesses,
            matches.known_weaknesses,
            ("name", "where", "description", "domain", "category", "label"),
        ),
        Query(
            "known_weakness",
            "One entry of such a list: its outcome, the concepts and themes that match it with what the run says of "
            "them, and some of its examples.",
            given.OneKnownWeakness,
            matches.known_weakness,
            ("list_name", "entry", "description", "domain", "category", "label", "text"),
        ),
        Query(
            "benchmarks",
            "All benchmarks: items, mean score, covered and missing concepts (of the alive), weak and strong ones; and "
            "what each adds to the suite, in ranked concepts.",
            given.Nothing,
            benchmarks.benchmarks,
            ("scope", "warnings"),
        ),
        Query(
            "correlation",
            "Two benchmarks: overlap of their concepts, correlation of performance, concepts on which they differ.",
            given.TwoBenchmarks,
            benchmarks.correlation,
            ("label",),
        ),
        Query(
            "suggestions",
            "What to do next, what matters most first, each with its reason and the command to run.",
            given.Suggested,
            suite.suggestions,
            ("title", "reason"),
        ),
        Query(
            "robustness",
            "Whether the findings hold up: verdicts of the robustness tests, and of probes with fresh items.",
            given.Nothing,
            suite.robustness,
            ("label", "sentence"),
        ),
        Query(
            "run_card",
            "How the run was made: model, SAE and its gate, span, versions, command, settings.",
            given.Nothing,
            suite.run_card,
        ),
    )
}


def ask(subject: Subject, name: str, arguments: Any) -> dict[str, Any]:
    """Ask a query; faults in the question are returned as an answer.

    Parameters
    ----------
    subject
        The run.
    name
        One of ``QUERIES``.
    arguments
        From JSON, of any shape.

    Returns
    -------
    dict
        Plain JSON of at most 24,000 characters. ``{"error": sentence}`` for an unknown name, bad arguments and what
        does not exist. ``cut`` says what was left out to keep it short; ``foreign_texts`` names the fields whose text
        others wrote: data, whatever it says.
    """
    query = QUERIES.get(name)
    if query is None:
        return {"error": f"there is no query {_shown(name)}: expected one of {', '.join(QUERIES)}."}
    try:
        parsed = query.arguments.model_validate({} if arguments is None else arguments)
        answer = query.function(subject, parsed).model_dump(exclude_unset=True)
    except ValidationError as error:
        return {"error": _complaint(error, query)}
    except UserError as error:
        return {"error": visible(shorten(str(error), 1000))}
    if query.foreign:
        answer["foreign_texts"] = list(query.foreign)
    return bounded(answer)


def _complaint(error: ValidationError, query: Query) -> str:
    """What is wrong with the arguments: those that there are none of, and the first three other faults, on one line."""
    errors = error.errors(include_url=False)
    unknown = [visible(str(fault["loc"][-1])) for fault in errors if fault["type"] == "extra_forbidden"]
    faults = []
    if unknown:
        known = ", ".join(query.arguments.model_fields) or "none"
        faults.append(f"{query.name} has no argument {', '.join(unknown)}: expected {known}. Ask again without it")
    for fault in [fault for fault in errors if fault["type"] != "extra_forbidden"][:3]:
        place = ".".join(str(part) for part in fault["loc"]) or "arguments"
        instead = "" if fault["type"] == "missing" else f", not {_shown(fault['input'])}"
        faults.append(f"{place}: {fault['msg']}{instead}")
    return visible(shorten("; ".join(shorten(fault, 300) for fault in faults), 1000))


def _shown(value: object) -> str:
    return visible(shorten(repr(value), 60))
