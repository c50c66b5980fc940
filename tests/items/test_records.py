import math

import pytest

from competency_gaps.items.item import Item, Text
from competency_gaps.items.records import Record, gather
from competency_gaps.util.errors import UserError
from core_helpers import benchmark_of


def item_of(record, **kwargs):
    return benchmark_of("b", [record], **kwargs).items[0]


def test_shared_form_of_a_choice_record():
    prompt = "Which?\nMind A.\n\nA. x\nB. y\nz"
    item = item_of(
        {"id": "i", "prompt": prompt, "choices": ["x", "y\nz"], "answer": 1, "metric": "choice", "group": "g"}
    )
    assert item == Item(id="i", prompt="Which?\nMind A.", choices=("x", "y\nz"), answer=1, scorer="choice", group="g")


@pytest.mark.parametrize("pair", ["left-right", ["a", "b"], 3])
def test_a_column_pair_of_another_kind_refuses_no_record(pair):
    assert item_of({"prompt": "p", "metric": "none", "pair": pair}).metadata == {"pair": pair}


def test_field_mapping():
    item = item_of(
        {"q": "Where?", "answers": {"text": ["a", "b"]}, "o1": "x", "o2": "y", "more": "m", "anti_": "A", "st": "S"},
        fields={
            "prompt": "q",
            "answer": "answers.text",
            "choices": "o1, o2",
            "metadata.extra": "more",
            "pair.stereo": "st",
            "pair.anti": "anti_",
        },
        scorer="exact",
    )
    assert (item.prompt, item.answer, item.choices) == ("Where?", ["a", "b"], ("x", "y"))
    assert item.metadata == {"extra": "m", "pair": {"stereo": "S", "anti": "A"}}


def test_the_answer_is_read_as_the_scorer_needs_it():
    record = {"prompt": "p", "choices": ["x", "y"], "answer": 1}
    assert item_of(record).answer == 1
    assert item_of(record, scorer="contains").answer == "y"
    assert item_of(record, scorer="contains").scorer == "contains"


def test_messages():
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "last"},
        {"role": "assistant", "content": "closing"},
    ]
    item = item_of({"messages": messages, "score": 0.25})
    assert (item.prompt, item.messages, item.response) == ("last", tuple(messages[:-1]), "closing")
    assert (item.scorer, item.score) == ("imported", 0.25)


@pytest.mark.parametrize(("given", "score"), [(None, None), (1, 1.0), (0.5, 0.5), ("0.5", 0.5), (True, 1.0)])
def test_scores(given, score):
    item = item_of({"prompt": "p", "score": given})
    assert item.score == score
    assert item.scorer == "imported"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"question": "q", "promt": "p"}, r"object 1: there is no 'prompt'.*question, promt.*'promt'\?.*fields"),
        ({"prompt": " \n"}, "object 1: the prompt is empty"),
        ({"prompt": "p", "choices": ["x", "y"], "answer": 2}, "object 1: answer index 2 is out of range.*0 to 1"),
        ({"prompt": "p", "choices": ["x"], "answer": 0}, "1 option in 'choices', expected at least two"),
        ({"prompt": "p\n\nA. y\nB. x", "choices": ["x", "y"]}, "lettered options that differ"),
        ({"prompt": "p", "score": 1.5}, r"object 1: the score 1.5 is outside \[0, 1\]"),
        ({"prompt": "p", "score": math.nan}, "object 1: the score is NaN. Write null"),
        ({"messages": [{"role": "system", "content": "s"}]}, "no message with the role 'user'"),
    ],
)
def test_bad_records(record, message):
    with pytest.raises(UserError, match=message):
        item_of(record)


def test_two_items_with_one_id():
    with pytest.raises(UserError, match="object 2: the id 'a' was already used at benchmark 'b', object 1"):
        benchmark_of("b", [{"id": "a", "prompt": "p"}, {"id": "a", "prompt": "q"}])


def epochs_of(records):
    entries = (Record(record, f"line {i + 1}") for i, record in enumerate(records))
    return gather(entries, "b", source="s", fields={}, scorer=None).items


def test_epochs_of_an_item_are_one_item():
    base = {"id": "a", "prompt": "p", "answer": "x"}
    scored = [{**base, "epoch": e, "score": s} for e, s in ((1, 1.0), (2, 0.0), (3, None), (4, 1.0))]
    first, other = epochs_of([*scored[:2], {"id": "b", "prompt": "q", "score": 0.5}, *scored[2:]])
    assert (first.id, first.score, first.epochs) == ("a", pytest.approx(2 / 3), 4)
    assert (other.id, other.score, other.epochs) == ("b", 0.5, 1)
    unscored = epochs_of([{**base, "epoch": e, "score": None} for e in (1, 2)])[0]
    assert unscored.score is None and unscored.epochs == 2


def test_clusters_and_covariates_are_mapped():
    rows = [
        {"prompt": "one?", "passage": 7, "hard": 0.5, "meta": {"topic": "law"}, "long": True},
        {"prompt": "two?", "passage": None, "hard": None, "meta": {"topic": ""}, "long": False},
    ]
    fields = {
        "cluster": "passage",
        "covariates.difficulty": "hard",
        "covariates.topic": "meta.topic",
        "covariates.long": "long",
    }
    one, two = benchmark_of("b", rows, fields=fields).items
    assert (one.cluster, one.covariates) == ("7", {"difficulty": 0.5, "topic": "law", "long": 1.0})
    assert (two.cluster, two.covariates) == (None, {"long": 0.0})


def test_the_hash_of_items_changes_only_where_they_are_set():
    plain = benchmark_of("b", [{"prompt": "p"}])
    empty = benchmark_of("b", [{"prompt": "p", "cluster": None, "covariates": {}}])
    in_one = benchmark_of("b", [{"prompt": "p", "cluster": "c"}])
    with_one = benchmark_of("b", [{"prompt": "p", "covariates": {"c": 1}}])
    assert plain.content_hash() == empty.content_hash()
    assert len({one.content_hash() for one in (plain, in_one, with_one)}) == 3


def test_a_lone_surrogate_drops_its_item_alone():
    objects = [
        {"id": "a", "prompt": "hello \ud800 there", "scorer": "none"},
        {"id": "b", "prompt": "whole 🦊", "scorer": "none"},
        {"id": "c", "prompt": "whole", "response": "half \udc00", "scorer": "none"},
        Item(id="d", prompt="x", scorer="none", metadata={"deep": ["\ud83d"]}),
        Item(id="e", prompt="x", scorer="none", seen=Text("x \ud83d", (0, 1), templated=False)),
    ]
    made = benchmark_of("quiz", objects)
    assert [item.id for item in made.items] == ["b"]
    assert [left.reason.code for left in made.left_out] == ["half_character"] * 4
    assert len(made.content_hash()) == 64
