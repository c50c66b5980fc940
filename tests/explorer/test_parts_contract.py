"""What Python writes is what ``types.ts`` says: the fields of every interface are compared with a real small run's."""

from __future__ import annotations

import functools
import io
import json
import re
from pathlib import Path

import polars as pl
import pytest
from competency_gaps.explorer.server.chat import chat_state
from explorer_extras import rescored, with_extras

from competency_gaps.config import LLMConfig
from competency_gaps.dictionary.folder import dictionary_of
from competency_gaps.explorer.opened import open_runs, run_list
from competency_gaps.explorer.parts import Context, Parts, as_json
from competency_gaps.explorer.parts.context import EXPORTED, SERVED
from competency_gaps.explorer.parts.models import paired_runs
from competency_gaps.explorer.types import types_file
from competency_gaps.runs.open import open_folder

PLAIN = {"string": str, "number": (int, float), "boolean": bool, "1": int}
TYPES = Path(__file__).resolve().parents[2] / "frontend" / "src" / "data" / "types.ts"


@functools.cache
def interfaces() -> dict[str, str]:
    """Bodies of the interfaces in ``types.ts`` by name, without comments."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", TYPES.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = {}
    for start in re.finditer(r"interface (\w+) \{", text):
        depth, end = 1, start.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        found[start[1]] = text[start.end() : end - 1]
    return found


@functools.cache
def fields(body: str) -> dict[str, str]:
    """Names of an interface's fields, and their types as they are written."""
    found, name, depth, part = {}, None, 0, ""
    for letter in body + ";":
        depth += {"{": 1, "[": 1, "(": 1, "}": -1, "]": -1, ")": -1}.get(letter, 0)
        if letter == ":" and depth == 0 and name is None:
            name, part = part.strip(), ""
        elif letter == ";" and depth == 0:
            if name is not None:
                found[name] = part.strip()
            name, part = None, ""
        else:
            part += letter
    return found


def check(value: object, kind: str, where: str) -> None:
    """Check a value against a type as ``types.ts`` writes it, as deep as it goes."""
    known = interfaces()
    options = split(kind, "|")
    if kind == "unknown":
        return
    if value is None:
        assert "null" in options, f"{where} is null, but {kind}"
        return
    options = [option for option in options if option != "null"]
    if all(option.startswith('"') for option in options):
        assert json.dumps(value) in options, f"{where} is {value!r}, not one of {kind}"
        return
    if len(options) > 1:
        assert any(isinstance(value, PLAIN[option]) for option in options), f"{where}: {value!r}"
        return
    (option,) = options
    if option.endswith("[]"):
        assert isinstance(value, list), where
        inner = option[1:-3] if option.startswith("(") and option.endswith(")[]") else option[:-2]
        for number, one in enumerate(value):
            check(one, inner, f"{where}[{number}]")
    elif option.startswith("["):
        parts = split(option[1:-1], ",")
        assert isinstance(value, list) and len(value) == len(parts), where
        for number, (one, part) in enumerate(zip(value, parts, strict=True)):
            check(one, part, f"{where}[{number}]")
    elif option.startswith("Record<"):
        assert isinstance(value, dict), where
        for name, one in value.items():
            check(one, split(option[len("Record<") : -1], ",")[1], f"{where}.{name}")
    elif option.startswith("{") or option in known:
        assert isinstance(value, dict), where
        wanted = fields(known.get(option) or option[1:-1])
        assert set(value) == set(wanted), f"{where}: {set(value) ^ set(wanted)}"
        for name, part in wanted.items():
            check(value[name], part, f"{where}.{name}")
    else:
        assert isinstance(value, PLAIN[option]) and (option == "boolean" or not isinstance(value, bool)), (
            f"{where}: {value!r}"
        )


@functools.cache
def split(text: str, mark: str) -> tuple[str, ...]:
    """Cut at a mark outside of brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"{": 1, "[": 1, "(": 1, "<": 1, "}": -1, "]": -1, ")": -1, ">": -1}.get(letter, 0)
        if letter == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return tuple(part.strip() for part in parts if part.strip())


@pytest.fixture(params=["whole", "redacted", "bare", "models", "redacted models"])
def parts(request, hostile, bare, modelled) -> Parts:
    made = bare if request.param == "bare" else modelled if "models" in request.param else hostile
    run = open_folder(made.run)
    return Parts(
        run,
        key="a-run",
        dictionary=dictionary_of(run, made.dictionary),
        redact="redacted" in request.param,
        concepts_per_part=40,
        items_per_part=100,
    )


def test_the_check_itself_sees_what_is_wrong():
    right = {"rows": [1], "total": 1}
    check(right, "SearchResult", "f")
    for wrong in ({"rows": [1]}, {**right, "rows": ["1"]}, {**right, "total": None}, {**right, "more": 1}):
        with pytest.raises(AssertionError):
            check(wrong, "SearchResult", "f")
    check("weak", '"weak" | "strong"', "f")
    with pytest.raises(AssertionError):
        check("odd", '"weak" | "strong"', "f")
    with pytest.raises(AssertionError):
        check([[1, 2], [1, "2"]], "[number, number][]", "pairs")


def test_every_part_is_as_the_page_reads_it(parts):
    kinds = {"run.json": "RunInfo", "themes.json": "ThemeFile", "findings.json": "FindingItems[]"}
    kinds |= {"models.json": "ModelsFile", "groups.json": "GroupsFile"}
    details = {"concept": "ConceptDetail[]", "item": "ItemDetail[]", "active": "ItemConcepts[]"}
    details["pairs"] = "Pairing"
    names = list(parts.names())
    of_models = 2 + 6 * 5 // 2 if parts.context.several_models else 0
    assert len(names) == len(set(names)) == 5 + 4 + 3 + 4 + 4 + of_models
    for name in names:
        content = parts.read(name)
        if name.endswith(".parquet"):
            assert content[:4] == content[-4:] == b"PAR1"
            continue
        kind = kinds.get(name) or details[name.split("/")[0]]
        check(json.loads(content), kind, name)


@pytest.fixture(scope="module")
def filled(hostile, modelled, listed, tmp_path_factory) -> set[str]:
    """Which fields some part or answer of a run with everything beside it fills."""
    made = with_extras(hostile, tmp_path_factory.mktemp("extras"))
    found: set[str] = set()
    (one,) = open_runs([made.run], made.dictionary)
    opened = open_runs([modelled.run], modelled.dictionary)
    # Exports cut long texts; robustness is suggested where it is not known yet.
    for run, amounts in ((one.run, SERVED), (one.run, EXPORTED), (open_folder(hostile.run), SERVED)):
        parts = Parts(
            run, key="a", dictionary=one.dictionary, concepts_per_part=96, items_per_part=400, amounts=amounts
        )
        for name, kind in PARTS.items():
            value = json.loads(parts.read(name))
            check(value, kind, kind)
            found |= fills(value, kind)
    asked = parts.context.sources.texts.search("Roman", 3)
    whole, peers, _ = (Parts(entry.run, key=entry.key, items_per_part=400) for entry in opened)
    worse = open_folder(rescored(hostile, tmp_path_factory.mktemp("rescored")).run)
    against = paired_runs(Context(worse, "worse"), Context(one.run, "other"))
    unpaired = paired_runs(peers.context, whole.context)
    values = [
        (whole.read("models.json"), "ModelsFile"),
        (whole.read("groups.json"), "GroupsFile"),
        (whole.read("pairs/0.json"), "Pairing"),
    ]
    for run, amounts in ((one.run, SERVED), (open_folder(listed.run), EXPORTED)):
        parts = Parts(run, key="l", amounts=amounts, entries_per_part=9)
        values += [(parts.read("matches.json"), "MatchesFile"), (parts.read("entry/0.json"), "EntryExamples[]")]
    values += [(as_json(against), "Pairing"), (as_json(unpaired), "Pairing")]
    values += [(made.read(name), kind) for made in (whole, peers) for name, kind in PARTS.items()]
    for content, kind in values:
        value = json.loads(content)
        check(value, kind, kind)
        found |= fills(value, kind)
    states = [chat_state(LLMConfig(base_url="http://127.0.0.1:9/v1", model="small")), chat_state(None)]
    lists = [run_list(opened, "static", None), *(run_list([one], "served", state) for state in states)]
    for value, kind in ((asked, "SearchResult"), *((one, "RunList") for one in lists)):
        held = json.loads(as_json(value))
        check(held, kind, kind)
        found |= fills(held, kind)
    return found


PARTS = {
    "run.json": "RunInfo",
    "themes.json": "ThemeFile",
    "findings.json": "FindingItems[]",
    "concept/0.json": "ConceptDetail[]",
    "item/0.json": "ItemDetail[]",
    "active/0.json": "ItemConcepts[]",
}


def fills(value: object, kind: str, where: str = "") -> set[str]:
    """Places of fields that hold something, ``Interface.field.field``, whatever the place in a list."""
    option = next((one for one in split(kind, "|") if one != "null"), kind)
    if isinstance(value, (list, tuple)):
        inner = split(option[1:-1], ",")[0] if option.startswith("[") else item_type(option)
        return {place for one in value for place in fills(one, inner, where)}
    if value is None or value == "":
        return set()
    if isinstance(value, dict) and (option in interfaces() or option.startswith("{")):
        root = option if option in interfaces() else where
        inside = fields(interfaces().get(option) or option[1:-1])
        return {place for name, part in inside.items() for place in fills(value[name], part, f"{root}.{name}")} | {
            one for one in (where, root) if one
        }
    return {where}


def item_type(kind: str) -> str:
    """``(A | null)[]`` and ``A[]`` are lists of ``A | null`` and of ``A``."""
    inner = kind.removesuffix("[]")
    return inner.removeprefix("(").removesuffix(")") if inner.startswith("(") else inner


def places(kind: str, where: str = "") -> set[str]:
    """Places of all fields of a type that a value may fill; those of an interface are counted once."""
    found = {where} if where else set()
    for option in split(kind, "|"):
        inner = option
        while inner.endswith("[]"):
            inner = inner[:-2].removeprefix("(").removesuffix(")")
        if inner.startswith("{") or inner in interfaces():
            root = inner if inner in interfaces() else where
            found.add(root)
            for name, part in fields(interfaces().get(inner) or inner[1:-1]).items():
                found |= places(part, f"{root}.{name}")
    return found


@pytest.mark.parametrize(
    "kind",
    [
        *PARTS.values(),
        *("MatchesFile", "EntryExamples[]", "ModelsFile", "GroupsFile", "PairedScores", "Pairing", "RunList"),
        "SearchResult",
    ],
)
def test_every_field_was_seen_filled(filled, kind):
    name = kind.removesuffix("[]")
    wanted = places(name)
    assert len(wanted) > 2
    assert not sorted(wanted - filled), "no run fills them: fill them in explorer_extras.py, or take them out"


def test_places_of_fields_are_found():
    assert places("{ a: number; b: { c: string | null }[] }[]", "X") == {"X", "X.a", "X.b", "X.b.c"}
    kind = "{ a: number | null; b: { c: string | null }[] }[]"
    assert fills([{"a": 0, "b": [{"c": None}, {"c": ""}]}], kind, "X") == {"X", "X.a", "X.b"}
    assert fills([{"a": None, "b": []}, {"a": None, "b": [{"c": "y"}]}], kind, "X") == {"X", "X.b", "X.b.c"}
    run = {"key": "k", "title": "", "scored": None, "models": None}
    told = {"runs": [run], "mode": "served", "chat": None, "version": "1"}
    lists = {"RunList", *(f"RunList.{one}" for one in ("runs", "mode", "version"))}
    assert fills(told, "RunList") == lists | {"ListedRun", "ListedRun.key"}


def test_columns_that_are_described_are_in_the_tables(parts):
    table = read(parts, "concepts.parquet")
    within = read(parts, "concepts/0.parquet")
    specs = json.loads(parts.read("run.json"))["columns"]
    assert specs and len({spec["key"] for spec in specs}) == len(specs)
    for spec in specs:
        wanted = [spec["key"], *(f"{spec['key']}_{end}" for end in ("low", "high") if spec["interval"])]
        assert set(wanted) <= set(table.columns)
        assert spec["per_benchmark"] == (spec["key"] in within.columns)
        numeric = table[spec["key"]].dtype.is_numeric()
        assert numeric == (spec["kind"] not in ("text", "word", "flag")), spec
        assert (table[spec["key"]].dtype == pl.Boolean) == (spec["kind"] == "flag"), spec
        assert not spec["per_benchmark"] or set(wanted) <= set(within.columns)


def test_the_file_is_what_the_records_say():
    assert TYPES.read_text(encoding="utf-8") == types_file(), "run python -m competency_gaps.explorer.types"


def read(parts: Parts, name: str) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(parts.read(name)))
