"""A manifest from a stranger lacks nothing that is read, and holds nothing else in its place, or it is refused."""

from __future__ import annotations

import copy
import json

import pytest

from competency_gaps.errors import UserError
from competency_gaps.items.item import Reason
from competency_gaps.runs.manifest import read_whole_manifest, write_manifest
from competency_gaps.runs.manifest_form import check_form
from core_helpers import plain_manifest

ENTRY = {
    **{"name": "quiz", "items": 3, "shards": ["b000-0000"], "content_sha256": "x", "policy": None, "scope": "sums"},
    "left_out": [{"where": "line 3", "reason": Reason("no_prompt", "the record holds no prompt").as_dict()}],
    "source": [
        {"warnings": [], "unscored_because": [{"reason": Reason("no_score", "no score").as_dict(), "count": 2}]}
    ],
    "figures": {"judge": {"policy": "judge", "summary": [Reason("other", "x").as_dict()]}},
}
TREND = {"covariate": "length", "first": 0.1, "last": 0.9, "share": 0.2, "p": 0.01, "controlled": False}


def whole():
    evidence = plain_manifest(4)["evidence"]
    own = {"tested": 1, "weak": 0, "strong": 0, "trends": [dict(TREND)], "most_stand_out": False, "shared_reason": None}
    made = plain_manifest(4, benchmarks=[copy.deepcopy(ENTRY)], evidence={**evidence, "benchmarks": {"quiz": own}})
    made["judging"] = {
        "judge": None,
        "classifiers": ["c"],
        "benchmarks": {"quiz": dict.fromkeys(("items", "scored", "failed", "unasked"), 1)},
    }
    return made


def put(manifest, place, value):
    *path, last = place
    for key in path:
        manifest = manifest[key]
    if value is None:
        del manifest[last]
    else:
        manifest[last] = value


def test_the_manifest_of_a_run_is_fine(tiny_run):
    check_form(whole())
    check_form(json.loads((tiny_run.path / "manifest.json").read_text()))


@pytest.mark.parametrize("key", [key for key in whole() if key != "judging"])
def test_a_manifest_without_a_key_is_refused(key):
    held = whole()
    del held[key]
    with pytest.raises(ValueError, match=f"^{key}: field required"):
        check_form(held)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("sae", "d_sae"), 0),
        (("sae", "d_sae"), "4"),
        (("sae", "d_sae"), 4.5),
        (("sae", "name"), {"a": 1}),
        (("model",), []),
        (("model", "layers"), None),
        (("benchmarks",), {}),
        (("benchmarks",), [ENTRY, ENTRY]),
        (("benchmarks", 0), "quiz"),
        (("benchmarks", 0, "name"), ["quiz"]),
        (("benchmarks", 0, "items"), -1),
        (("benchmarks", 0, "items"), True),
        (("benchmarks", 0, "shards"), "b000"),
        (("benchmarks", 0, "shards", 0), 7),
        (("benchmarks", 0, "left_out", 0, "reason"), "no_prompt"),
        (("benchmarks", 0, "left_out", 0, "reason", "code"), "unheard_of"),
        (("benchmarks", 0, "left_out", 0, "reason", "numbers"), ["x"]),
        (("benchmarks", 0, "source", 0, "unscored_because", 0, "count"), "2"),
        (("benchmarks", 0, "figures", "judge", "summary"), [{"code": "stereotype", "numbers": []}]),
        (("evidence", "q"), 7),
        (("evidence", "min_n_eff"), None),
        (("evidence", "weak"), None),
        (("evidence", "benchmarks", "quiz", "trends", 0, "first"), 1e308),
        (("evidence", "benchmarks", "quiz", "trends", 0, "categories"), ["x"]),
        (("judging", "benchmarks", "quiz", "failed"), None),
        (("timings", "load"), "1"),
        (("command",), 3),
        (("outcome",), {"kind": "unheard of", "model": "m", "against": [], "limits": [0, 1], "remarks": []}),
        (("outcome",), {"kind": "peers", "model": "m", "against": [], "limits": [0], "remarks": []}),
        (("settings",), {"metrics": {"normaliser": "unheard of"}}),
        (("settings", "metrics", "normaliser"), "unheard of"),
        (("settings", "evidence", "q"), 7),
        (("settings", "evidence"), None),
        (("settings", "sae"), None),
        (("settings", "sae", "dictionary"), 7),
        (("created",), "yesterday"),
        (("bos_id",), "0"),
        (("model", "content_sha256"), None),
        (("sae", "content_sha256"), None),
    ],
)
def test_other_content_is_refused_by_its_place(place, value, tmp_path):
    held = whole()
    put(held, place, value)
    write_manifest(tmp_path, held)
    with pytest.raises(UserError, match=rf"manifest\.json is damaged: {place[0]}"):
        read_whole_manifest(tmp_path)


def test_a_hook_outside_of_the_layers_and_figures_of_other_policies_are_fine():
    held = whole()
    held["hook"]["layer"] = None
    own = {"policy": "own", "summary": [], "agreement": "fair", "position_bias": 1}
    held["benchmarks"][0]["figures"] = {"own": own}
    check_form(held)
    own["by_place"] = True
    with pytest.raises(ValueError, match=r"^benchmarks\.0\.figures"):
        check_form(held)


def test_no_outcome_is_no_null(tmp_path):
    with pytest.raises(ValueError, match=r"^outcome"):
        check_form({**whole(), "outcome": None})
