"""Batch files: the form that is written, and every form that is read."""

from __future__ import annotations

import json

import pytest
from endpoint_helpers import SCHEMA, request

from competency_gaps.endpoint import Request, export_batch, import_batch
from competency_gaps.errors import UserError
from fake_endpoint import completion


def write(path, *lines):
    path.write_bytes(
        b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    )
    return path


def output(id, content, status=200):
    body = json.loads(completion({"content": content}, "stop", {"prompt_tokens": 3, "completion_tokens": 4}, "m"))
    return {"id": "b", "custom_id": id, "response": {"status_code": status, "body": body}, "error": None}


def test_the_exported_form(tmp_path):
    hostile = "a\u2028b\ud800\r\n\x00🦊"
    requests = [request(1, user=hostile), Request("free", "", "hi", None, "label", 5)]
    path = tmp_path / "out" / "requests.jsonl"
    export_batch(requests, "m", path, "json_schema")
    data = path.read_bytes()
    assert data.count(b"\n") == len(data.splitlines()) == 2 and data.isascii()
    first, second = map(json.loads, data.split(b"\n")[:-1])
    in_words = "\n\nAnswer with one JSON object of this JSON schema and nothing else:\n" + json.dumps(SCHEMA)
    assert first == {
        "custom_id": "r1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "m",
            "messages": [
                {"role": "system", "content": "You label."},
                {"role": "user", "content": "a\u2028b\ufffd\r\n\x00🦊" + in_words},
            ],
            "max_tokens": 20,
            "temperature": 0.0,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "label", "strict": True, "schema": SCHEMA},
            },
        },
    }
    assert second["body"] == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 5,
        "temperature": 0.0,
    }
    assert list(tmp_path.joinpath("out").iterdir()) == [path]


@pytest.mark.parametrize("structured", ["json_schema", "json_object", "none"])
def test_the_schema_stands_in_words_too(tmp_path, structured):
    # Some servers ignore response_format without an error.
    export_batch([request(1)], "m", tmp_path / "r.jsonl", structured)
    body = json.loads((tmp_path / "r.jsonl").read_text(encoding="utf-8"))["body"]
    assert body.get("response_format", {"type": "none"})["type"] == structured
    system, question = body["messages"]
    assert system["content"] == "You label."
    assert "Answer with one JSON object" in question["content"]
    assert json.loads(question["content"].splitlines()[-1]) == SCHEMA


def test_ids_must_differ_and_nothing_is_written(tmp_path):
    with pytest.raises(UserError, match="share the id 'r1'"):
        export_batch([request(1), request(1)], "m", tmp_path / "r.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_every_form_is_read(tmp_path):
    path = write(
        tmp_path / "a.jsonl",
        b"\xef\xbb\xbf" + json.dumps(output("r1", "one\u2028")).encode(),
        {"custom_id": "r2", "content": {"label": "zwei\u2029", "n": [1]}, "model": "by hand"},
        b"",
        '{"custom_id": "r3", "content": "drei\u2028dr\u00fcben"}'.encode() + b"\r",
        output("r4", "x", status=500) | {"response": {"status_code": 429, "body": {"error": {"message": "slow"}}}},
        {"custom_id": "r5", "response": None, "error": {"code": "batch_expired", "message": "too late"}},
        {"custom_id": "r6", "response": None, "error": None},
        {"custom_id": "r7", "response": {"status_code": 200, "body": {"choices": []}}, "error": None},
        {"custom_id": "r2", "content": "newer"},
        output("r1", "newer one"),
        output("r2", "newest"),
        {"custom_id": "stranger", "content": "?"},
    )
    found = import_batch(path)
    assert (found.dropped, len(found.answers)) == (3, 8)
    texts = {id: answer.text for id, answer in found.answers.items()}
    assert texts["r1"] == "newer one" and texts["r2"] == "newest" and texts["r3"] == "drei\u2028dr\u00fcben"
    errors = {id: answer.error for id, answer in found.answers.items() if answer.error is not None}
    assert errors == {
        "r4": "status 429: slow",
        "r5": "too late",
        "r6": "neither a response nor an error",
        "r7": "the body is no chat completion: it has no choices with a message",
    }
    assert found.answers["r1"].prompt_tokens == 3 and found.answers["r1"].model == "m-0"


def test_an_object_by_hand_becomes_its_json(tmp_path):
    value = {"label": 'a "quoted" 漢', "none": None}
    found = import_batch(write(tmp_path / "a.jsonl", {"custom_id": "r", "content": value, "model": 5}))
    assert json.loads(found.answers["r"].text) == value and found.answers["r"].model is None


@pytest.mark.parametrize(
    "line, words",
    [
        (b'{"custom_id": "r", "content": "cut', "no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff\xfe", "no UTF-8"),
        (b'["r"]', "custom_id"),
        (b'{"content": "x"}', "custom_id"),
        (b'{"custom_id": 7, "content": "x"}', "custom_id"),
        (b'{"custom_id": "r"}', "'content'"),
        (b'{"custom_id": "r", "content": ["x"]}', "'content' is list"),
        (b'{"custom_id": "r", "content": null}', "'content' is NoneType"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, words):
    path = write(tmp_path / "bad.jsonl", {"custom_id": "r0", "content": "fine"}, line)
    with pytest.raises(UserError, match=r"bad\.jsonl', line 2") as caught:
        import_batch(path)
    assert words in str(caught.value) and len(str(caught.value)) < 600


def test_a_file_must_be_there(tmp_path):
    with pytest.raises(UserError, match="is no file"):
        import_batch(tmp_path / "none.jsonl")


def test_keys_belong_to_exactly_one_request():
    base = Request("r", "s", "u", SCHEMA, "label", 10)
    others = [
        Request("r", "s2", "u", SCHEMA, "label", 10),
        Request("r", "s", "u2", SCHEMA, "label", 10),
        Request("r", "s", "u", None, "label", 10),
        Request("r", "s", "u", {**SCHEMA, "title": "x"}, "label", 10),
        Request("r", "s", "u", SCHEMA, "label2", 10),
        Request("r", "s", "u", SCHEMA, "label", 11),
        Request("r", "s", "u", SCHEMA, "label", 10, 0.5),
        Request("r", "su", "", SCHEMA, "label", 10),
    ]
    keys = {base.key("m"), base.key("m2"), *(other.key("m") for other in others)}
    assert len(keys) == 2 + len(others) and all(len(key) == 64 for key in keys)
    assert Request("another id", "s", "u", SCHEMA, "label", 10, 0).key("m") == base.key("m")
