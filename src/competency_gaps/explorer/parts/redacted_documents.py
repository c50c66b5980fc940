"""What a redacted explorer shows of the manifest and of the documents that other commands put into a run folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from competency_gaps.checked import FILES
from competency_gaps.config import EvidenceConfig
from competency_gaps.explorer.parts.settings import named
from competency_gaps.items.item import Reason
from competency_gaps.matching.clauses import made_of
from competency_gaps.matching.kept_files import EXAMPLE_MATCHES, MATCHES
from competency_gaps.robustness import FILE as ASSESSMENT

Rule: TypeAlias = "Literal[True] | Callable[[Any], Any] | list[Rule] | dict[str, Rule]"
"""How to show a value: True: as it is; a function: what it returns; a list: each entry by the rule in it; a dictionary:
the fields that it names, each by its rule, and no others (``*``: all fields by one rule)."""


def redact(value: Any, rule: Rule) -> Any:
    """Apply a rule."""
    if callable(rule):
        return rule(value)
    if isinstance(rule, list):
        return [redact(entry, rule[0]) for entry in value or ()]
    if rule is True:
        return value
    if not isinstance(value, Mapping):
        return None
    if "*" in rule:
        return {name: redact(entry, rule["*"]) for name, entry in value.items()}
    return {name: redact(value[name], inner) for name, inner in rule.items() if name in value}


def _shown(*names: str) -> dict[str, Rule]:
    """Show these fields as they are."""
    return dict.fromkeys(names, True)


def _nothing(value: Any) -> None:
    return None


def _without_quotes(remark: Mapping[str, Any]) -> dict[str, Any]:
    return Reason.of(remark).withheld().as_dict()


_PLACES = ("both_games", "agreement", "position_bias", "by_place")
"""Figures of an arena that the answer speaks of."""


def _figures(figures: Mapping[str, Any] | None) -> dict[str, Any]:
    """Figures by policy; those of one policy are numbered, as its options are withheld."""
    shown: dict[str, Any] = {}
    for figure in (figures or {}).values():
        policy = figure["policy"]
        same = sum(other["policy"] == policy for other in shown.values())
        name = f"{policy} ({same + 1})" if same else policy
        places = {key: figure[key] for key in _PLACES if key in figure}
        shown[name] = {"policy": policy, "summary": [_without_quotes(remark) for remark in figure["summary"]], **places}
    return shown


def _trends(trends: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Trends along numbers; those between categories, which may be names of groups, are withheld."""
    numeric = [trend for trend in trends or () if not trend.get("categories")]
    return [redact(trend, _shown("covariate", "first", "last", "share", "p", "controlled")) for trend in numeric]


def _settings(held: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings that cannot quote a text (:func:`named`)."""
    safe: dict[str, Any] = {}
    for key, value in held.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if inner := _settings(value, f"{name}."):
                safe[key] = inner
        elif named([(name, str(value))]):
            safe[key] = value
    return safe


_COUNTS = ("tested", "drawn", "weak", "strong", "typical", "insufficient", "weak_groups", "strong_groups")
MANIFEST: Rule = {
    **_shown("schema_version", "created", "versions", "span", "pooling", "paper", "timings", "scored_model", FILES),
    "outcome": {**_shown("kind", "model", "against", "limits"), "remarks": [_without_quotes]},
    "model": _shown("name", "class", "layers", "hidden_size", "dtype", "weights_sha256"),
    "sae": _shown("name", "architecture", "d_sae", "d_in", "weights_sha256", "neuronpedia_id"),
    "hook": _shown("path", "side", "layer"),
    "gate": _shown("passed", "forced", "l0", "explained_variance", "dead_share", "tokens"),
    "reference": _shown("name", "lift"),
    "dictionary": _shown("name", "labelled", "kinds", "themes"),
    "command": lambda command: "",
    "evidence": {
        **_shown(*EvidenceConfig.model_fields, *_COUNTS),
        "benchmarks": {"*": {**_shown(*_COUNTS, "most_stand_out", "shared_reason"), "trends": _trends}},
    },
    "judging": {
        "judge": lambda judge: "a model" if judge else None,
        "classifiers": lambda classifiers: ["a classifier"] if classifiers else [],
        "benchmarks": {"*": _shown("items", "scored", "unasked", "failed")},
    },
    "benchmarks": [
        {
            **_shown("name", "items", "policy", "scope", "generated", "shards"),
            "left_out": [{"where": _nothing, "reason": _without_quotes}],
            "source": [
                {"warnings": [_without_quotes], "unscored_because": [{"reason": _without_quotes, "count": True}]}
            ],
            "figures": _figures,
        }
    ],
    "settings": _settings,
}
_ASSESSMENT: Rule = {
    "verdicts": [
        {
            **_shown("code", "outcome", "tone"),
            # The folder of the other run is a text, and withheld.
            "numbers": lambda held: {name: value for name, value in held.items() if isinstance(value, (int, float))},
        }
    ]
}
_PROBES: Rule = {
    "concepts": [
        {
            **_shown("concept", "claim", "verdict", "status", "kind", "exciting", "comparison", "mean", "mean_low"),
            **_shown("mean_high", "expected", "difference", "difference_low", "difference_high", "p_value", "q_value"),
            "label": _nothing,
        }
    ]
}
_PAIR = _shown(
    *("concept", "level", "id", "label_text", "similarity", "p_value", "verdict"),
    *("theme", "label", "name", "auroc", "leader", "label_similarity"),
)
_SHARE = _shown("count", "of", "low", "high")
_CHANCE: Rule = {"observed": _SHARE, **_shown("expected", "low", "high", "p_value")}
_ENTRY = _shown(*("score", "bound", "recovered", "recovered_weak", "untested", "examples", "outcome", "not_compared"))
_MATCHES: Rule = {
    **_shown("taxonomy", "taxonomy_is_path", "created", "alpha", "q", "weak_concepts"),
    **dict.fromkeys(("recovery", "unnamed_share"), _SHARE),
    **dict.fromkeys(("matched", "weak", "untested"), _CHANCE),
    "unnamed": [_shown("concept")],
    "unexplained": [_shown("concept")],
    "calibration": {"realised": _SHARE},
}
_LACK = _shown(
    *("concept", "label", "similarity", "p_value", "in_scope", "coverage_status", "chi_bench_elsewhere", "verdict")
)


def _matches(manifest: Mapping[str, Any], held: Any) -> Any:
    """Number the entries of somebody's list instead of naming them; of their examples only the run's own are shown."""
    numbers = {entry["entry"]: str(number) for number, entry in enumerate(held["entries"], 1)}
    own = held.get("examples_run") is None
    shown = {
        **redact(held, _MATCHES),
        **dict.fromkeys(("where", "examples_run")),
        "entries": [_numbered(entry, numbers[entry["entry"]], own=own) for entry in held["entries"]],
        **{
            kind: [{**redact(pair, _PAIR), "entry": numbers[pair["entry"]]} for pair in held[kind]]
            for kind in ("pairs", "themes")
        },
    }
    if not held["taxonomy_is_path"]:
        shown["taxonomy"] = "tags"  # a column's name, or the conditions' names, which are the entries' names
    if "left_out_examples" in held:
        shown["left_out_examples"] = [{"entry": numbers.get(left["entry"], "?")} for left in held["left_out_examples"]]
    return shown


def _numbered(entry: Mapping[str, Any], number: str, *, own: bool) -> dict[str, Any]:
    """An entry without its texts. ``own``: its examples are items of the run, whose texts are withheld there."""
    names = {"entry": number, "description": number, "domain": None, "category": None}
    return {**redact(entry, _ENTRY), **names, "example_rows": entry.get("example_rows") if own else None}


def _scope(manifest: Mapping[str, Any], held: Any) -> Any:
    """Withhold a scope that was typed; show one that the configuration states."""
    stated = {entry["name"]: entry.get("scope") for entry in manifest["benchmarks"]}.get(held["benchmark"])
    clauses = held["clauses"] if stated and made_of([str(stated)]) == held["clauses"] else [""]
    counts = {name: redact(held[name], _shown("count")) for name in ("covered", "under", "missing")}
    rows = redact(held["rows"], [_LACK])
    return {**redact(held, _shown("benchmark", "alpha", "bound")), "clauses": clauses, **counts, "rows": rows}


DOCUMENTS: Mapping[str, Callable[[Mapping[str, Any], Any], Any]] = {
    ASSESSMENT: lambda manifest, held: redact(held, _ASSESSMENT),
    "probes": lambda manifest, held: redact(held, _PROBES),
    MATCHES: _matches,
    EXAMPLE_MATCHES: _matches,
    "scopes": _scope,
}
"""A document, or a folder of documents, to the function of the redacted manifest and the document that redacts it."""
