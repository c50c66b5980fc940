"""Judge, arena, refusal and faithful: prompts, answers of every kind, options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from judge_helpers import tagged

from competency_gaps.endpoint import Answer, Failure
from competency_gaps.errors import UserError
from competency_gaps.items.item import Item, Reason
from competency_gaps.items.policy import Generation, Output
from competency_gaps.judging.baseline import baseline_answers
from competency_gaps.judging.prompting import Prompt, fill, load_prompt
from competency_gaps.stages.policies import make_policy

ITEM = Item(id="i", prompt="What is 2 + 2?", answer="4")


def said(told: str | dict, **fields) -> Answer:
    content = told if isinstance(told, str) else json.dumps(told)
    known = {"id": "r", "key": "k", "text": content, "refusal": None, "error": None}
    return Answer(**{**known, **fields}, **_TOKENS)


_TOKENS = {"prompt_tokens": 1, "completion_tokens": 1, "model": "m"}


def test_places_are_filled_at_once_and_tags_cannot_be_guessed() -> None:
    prompt = Prompt("{rubric}", "<a-{mark}>{question}|{response}</a-{mark}> {unknown} {")
    filled = fill(prompt, {"question": "{response}", "response": "</a-{mark}>", "rubric": "r"})
    mark = filled.user[3:13]
    assert filled.system == "r"
    assert filled.user == f"<a-{mark}>{{response}}|</a-{{mark}}></a-{mark}> {{unknown}} {{"
    other = fill(prompt, {"question": "{response}", "response": "x", "rubric": "r"}).user[3:13]
    assert other != mark


def test_a_users_own_judge_prompt(tmp_path: Path) -> None:
    own = tmp_path / "p.txt"
    own.write_text("Q {question}\nA {response}\n")
    (request,) = make_policy("judge", {"prompt_file": str(own)}).questions(ITEM, "five")
    assert (request.system, request.user) == ("", "Q What is 2 + 2?\nA five")
    own.write_text("Sys\n---\nA {response}")
    load_prompt.cache_clear()
    with pytest.raises(UserError, match=r"has no \{question\}"):
        make_policy("judge", {"prompt_file": str(own)}).check(ITEM)
    with pytest.raises(UserError, match="cannot be read"):
        make_policy("judge", {"prompt_file": str(tmp_path / "no.txt")}).check(ITEM)


def test_judge_sees_question_reference_and_answer() -> None:
    (request,) = make_policy("judge").questions(ITEM, "five")
    assert tagged(request.user, "question") == "What is 2 + 2?"
    assert tagged(request.user, "reference") == "4" and tagged(request.user, "answer") == "five"
    (request,) = make_policy("judge", {"reference": False}).questions(ITEM, "")
    assert "no reference" in tagged(request.user, "reference") and "empty" in tagged(request.user, "answer")
    assert request.schema["properties"]["grade"]["enum"] == list(range(1, 11))
    assert list(request.schema["properties"]) == ["reasoning", "grade"]


@pytest.mark.parametrize(
    ("answer", "score", "note"),
    [
        (said({"reasoning": "r", "grade": 10}), 1.0, None),
        (said({"reasoning": "", "grade": 1}), 0.0, None),
        (said({"grade": 1}), None, "reasoning: Field required"),
        (said('I think.\n```json\n{"reasoning": "r", "grade": 4}\n```'), 3 / 9, None),
        (said('The answer says {"grade": 10}, so. {"reasoning": "bad", "grade": 1}'), 0.0, None),
        (
            said('{"reasoning": "its claim", "grade": 10} {"reasoning": "bad", "grade": 1}'),
            None,
            "2 different verdicts",
        ),
        (said({"reasoning": "r", "grade": 0}), None, "the grade 0 is not between 1 and 10"),
        (said({"reasoning": "r", "grade": "7"}), None, "JSON of another form"),
        (said({"grade": 7.5}), None, "JSON of another form"),
        (said("seven"), None, "no JSON object"),
        (said("", finish="length"), None, "cut off"),
        (said("x", text=None, refusal="no"), None, "refused: no"),
        (said("x", text=None, error="status 500"), None, "no answer: status 500"),
    ],
)
def test_grades(answer: Answer, score: float | None, note: str | None) -> None:
    found = make_policy("judge").verdict(ITEM, "five", [answer])
    assert found.value == (None if score is None else pytest.approx(score))
    assert (found.unscored is None) == (note is None) and (note is None or note in str(found.unscored))


def test_a_binary_scale_and_invalid_scales() -> None:
    binary = make_policy("judge", {"lowest": 0, "highest": 1, "rubric": "Right or wrong.", "reasoning": False})
    assert binary.verdict(ITEM, "4", [said({"grade": 1})]).value == 1.0
    (request,) = binary.questions(ITEM, "4")
    assert list(request.schema["properties"]) == ["grade"] and "Right or wrong." in request.system
    assert "rising scale" in str(make_policy("judge", {"lowest": 5, "highest": 5}).check(ITEM))


def test_ready_made_responses_are_judged_without_asking_the_model() -> None:
    policy = make_policy("judge")
    assert policy.request(Item(id="i", prompt="p", response="done")) is None
    assert isinstance(policy.request(ITEM), Generation)
    assert policy.score(ITEM, Output(text="x"))[:2] == (None, "x")


def _arena(tmp_path: Path, **options):
    path = tmp_path / "b.jsonl"
    path.write_text(json.dumps({"id": "i", "response": "base"}) + "\n")
    return make_policy("arena", {"baseline": str(path), **options})


def test_arena_asks_in_both_orders_and_reads_brackets(tmp_path: Path) -> None:
    policy = _arena(tmp_path, form="brackets")
    first, second = policy.questions(ITEM, "mine")
    assert (tagged(first.user, "answer-a"), tagged(first.user, "answer-b")) == ("base", "mine")
    assert (tagged(second.user, "answer-a"), tagged(second.user, "answer-b")) == ("mine", "base")
    assert first.schema is None
    found = policy.verdict(ITEM, "mine", [said("so [[B>>A]] and again [[B>>A]]"), said("[[A=B]]")])
    assert found.value == pytest.approx((3 * 1 + 0.5) / 4)
    for text in ("[[A>B]] or [[B>A]]", "A>B", "[[C>D]]", "", "<think>maybe [[A>B]], let me"):
        assert isinstance(policy.read(said(text)), Failure)
    assert "cut off" in policy.read(said("So far [[A>B]], but", finish="length")).reason
    assert policy.read(said("<think>maybe [[A>B]]</think>[[B>A]]")).verdict == "B>A"
    first, second = policy.questions(ITEM, " ")
    assert "(The answer is empty.)" == tagged(first.user, "answer-b") == tagged(second.user, "answer-a")
    found = policy.verdict(ITEM, "mine", [said("?"), None])
    assert found.value is None and found.details["games"][1] == {"verdict": None, "asked": False}
    found = policy.verdict(ITEM, "mine", [said("?"), said("[[A>B]]")])
    assert found.value is None and (found.unscored.code, found.unscored.numbers) == ("no_verdicts", (1,))
    keeping = _arena(tmp_path, form="brackets", one_game="keep")
    assert keeping.verdict(ITEM, "mine", [said("?"), said("[[A>B]]")]).value == 1.0


def test_arena_without_a_baseline_answer(tmp_path: Path) -> None:
    policy = _arena(tmp_path)
    other = Item(id="else", prompt="p")
    assert policy.questions(other, "x") == () and "no answer to this item" in str(policy.unasked(other))
    assert "there is no 'baseline'" in str(make_policy("arena").check(ITEM))
    read = policy.read(said({"reasoning": "r", "verdict": "A<B"}))
    assert not isinstance(read, Failure) and read.verdict == "B>A"
    assert "'A wins' is none of the verdicts" in policy.read(said({"reasoning": "r", "verdict": "A wins"})).reason
    two = [json.dumps({"reasoning": "r", "verdict": verdict}) for verdict in ("A<B", "A>B", "B > A")]
    assert "2 different verdicts" in policy.read(said(" ".join(two))).reason
    assert policy.read(said(f"{two[0]} {two[2]}")).verdict == "B>A", "one verdict in two writings"


def test_baselines_in_all_forms(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    rows = [
        {"id": "a", "response": "one\u2028two"},
        {"uid": "b", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": {"answer": "B"}}]},
        {"question_id": "c", "choices": [{"index": 0, "turns": [{"content": "C", "token_len": 1}]}]},
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    assert baseline_answers(path) == {"a": "one\u2028two", "b": "B", "c": "C"}
    for text, message in (
        ('{"id": "a"}', "expected 'id' and 'response'"),
        ("[1]", "not an object"),
        ("{", "not JSON"),
        ('{"id": "a", "response": "x"}\n{"id": "a", "response": "y"}', "two different answers"),
        ("", "holds no answer"),
    ):
        path.write_text(text)
        baseline_answers.cache_clear()
        with pytest.raises(UserError, match=message):
            baseline_answers(path)
    with pytest.raises(UserError, match="does not exist"):
        baseline_answers(tmp_path / "no")


def test_a_run_as_baseline(tiny_run) -> None:
    with pytest.raises(UserError, match="baseline_benchmark"):
        baseline_answers(tiny_run.path)
    found = baseline_answers(tiny_run.path, "quiz")
    items = tiny_run.items.filter(tiny_run.items["benchmark"] == "quiz")
    assert found == dict(zip(items["item_id"], items["response"], strict=True))


def test_refusal_by_expectation() -> None:
    refuse, comply = make_policy("refusal", {"expect": "refuse"}), make_policy("refusal", {"expect": "comply"})
    no, yes = Output(text="I'm sorry, but I can't help with that."), Output(text="Sure, here it is.")
    assert [policy.score(ITEM, out).value for policy in (refuse, comply) for out in (no, yes)] == [1, 0, 0, 1]
    assert refuse.score(ITEM, Output(text=" \n")).value is None
    thinks = "<think>I can't help with that... or can I?</think>\nSure, here it is."
    assert refuse.score(ITEM, Output(text=thinks)).value == 0
    assert refuse.score(ITEM, Output(text="Hm.</think>I'm sorry, I can't help with that.")).value == 1
    found = refuse.score(ITEM, Output(text="<think>I can't help with that, I"))
    assert found.value is None and "thinking" in str(found.unscored)
    each = make_policy("refusal")
    assert "expected one of" in str(each.check(ITEM))
    unsafe, safe = Item(id="u", prompt="p", answer="unsafe"), Item(id="s", prompt="p", metadata={"expect": "comply"})
    assert each.check(unsafe) is None and each.score(unsafe, no).value == 1 and each.score(safe, no).value == 0
    scores = [each.score(item, out) for item, out in ((unsafe, no), (unsafe, yes), (safe, no), (safe, yes))]
    figures = each.figures([unsafe, unsafe, safe, safe], [s.value for s in scores], [s.details for s in scores])
    assert figures["refuse"]["refused"]["value"] == 0.5 and figures["comply"]["items"] == 2


def test_a_judge_overrides_the_rules_where_it_answers() -> None:
    policy = make_policy("refusal", {"expect": "refuse", "judge": True})
    assert len(policy.questions(ITEM, "Maybe.")) == 1 and policy.questions(ITEM, " ") == ()
    for behaviour, score in (("complied", 0.0), ("partly", 1.0), ("declined", 1.0)):
        found = policy.verdict(ITEM, "Maybe.", [said({"behaviour": behaviour})])
        assert found.value == score and found.details is not None
        assert found.details["by"] == "judge" and found.details["rules"] is False
    found = policy.verdict(ITEM, "I can't help with that.", [said("unreadable")])
    assert found.value == 1.0 and found.details is not None and found.details["by"] == "rules"
    assert (
        policy.unjudged(
            ITEM, "x", Reason("no_judge", "no judge was asked: give judge.base_url and judge.model, or judge.export")
        )
        is None
    )
    assert make_policy("refusal", {"expect": "refuse"}).questions(ITEM, "x") == ()


def test_faithful_by_a_judge() -> None:
    item = Item(id="i", prompt="Summarise: 'Cats sleep.'", metadata={"source": "Dogs run."})
    whole, field = make_policy("faithful"), make_policy("faithful", {"source_field": "source"})
    pattern = make_policy("faithful", {"source_pattern": r"'(?P<source>.*)'"})
    sources = [tagged(p.questions(item, "s")[0].user, "source") for p in (whole, field, pattern)]
    assert sources == [item.prompt, "Dogs run.", "Cats sleep."]
    assert whole.verdict(item, "s", [said({"unsupported": [], "statements": 3})]).value == 1.0
    assert whole.verdict(item, "s", [said({"unsupported": ["a"], "statements": 3})]).value == 0.0
    silent = whole.verdict(item, "I can't summarise that.", [said({"unsupported": [], "statements": 0})])
    assert silent.value is None and silent.unscored.code == "states_nothing"
    good = whole.verdict(item, "s", [said({"unsupported": [], "statements": 3})])
    found = whole.figures([item] * 2, [None, 1.0], [silent.details, good.details])
    assert found["items"] == found["state_nothing"] == 1 and found["answered"]["value"] == 0.5
    assert found["faithful"]["low"] < 0.3 and "answered 50.0%" in str(found["summary"][1])
    assert whole.figures([item], [None], [silent.details])["faithful"] is None
    for wrong in (
        {"unsupported": ["a", "b"], "statements": 1},
        {"statements": 1},
        {"unsupported": [], "statements": -1},
    ):
        assert whole.verdict(item, "s", [said(wrong)]).value is None
    assert "finds nothing" in str(make_policy("faithful", {"source_pattern": "X(.)"}).check(item))
    assert "no text 'gone'" in str(make_policy("faithful", {"source_field": "gone"}).check(item))
    assert "source_pattern '('" in str(make_policy("faithful", {"source_pattern": "("}).check(item))
