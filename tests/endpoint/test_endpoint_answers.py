"""The store of answers: whole after every cut, strict about what it reads."""

from __future__ import annotations

import errno
import json
import logging
import os
from dataclasses import asdict, replace

import pytest

from competency_gaps.checked import with_checksum
from competency_gaps.endpoint import Answer, AnswerStore
from competency_gaps.errors import MachineError, UserError


def answer(number: int, **fields) -> Answer:
    plain = Answer(f"r{number}", f"key{number}", f"text {number}", None, None, 5, 6, "m", "stop")
    return replace(plain, **fields)


ODD = [
    answer(0, text="a\u2028b\u2029c\x85d\x0ce\r\nf\rg\ufffd"),
    answer(1, text=None, refusal="no\u2028"),
    answer(2, text="", prompt_tokens=None, completion_tokens=None, model=None, finish=None),
    answer(3, text="🦊 漢字 \x00 longer than the line that comes in its place " * 3),
]


def test_added_answers_are_read_back(tmp_path):
    path = tmp_path / "deep" / "answers.jsonl"
    store = AnswerStore(path)
    assert store.get("key0") is None and not path.exists()
    for one in ODD:
        store.add(one)
        assert path.read_bytes().endswith(b"\n")
        assert AnswerStore(path).get(one.key) == one
    assert len(AnswerStore(path)) == path.read_bytes().count(b"\n") == 4


def test_every_cut_of_the_last_line_leaves_the_rest_whole(tmp_path, caplog):
    path = tmp_path / "answers.jsonl"
    store = AnswerStore(path)
    for one in ODD:
        store.add(one)
    data = path.read_bytes()
    last = data[:-1].rfind(b"\n") + 1
    for cut in range(last, len(data)):
        path.write_bytes(data[:cut])
        caplog.clear()
        store = AnswerStore(path)
        assert [store.get(one.key) for one in ODD[:3]] == ODD[:3]
        # Only the line break is missing: the answer is whole and was paid for.
        assert store.get("key3") == (ODD[3] if cut == len(data) - 1 else None)
        assert ("cut off" in caplog.text) == (last < cut < len(data) - 1)
        assert path.read_bytes() == data[:cut]  # reading changes nothing
        store.add(answer(9))
        assert path.read_bytes().endswith(b"\n")
        again = AnswerStore(path)
        assert again.get("key9") == answer(9) and again.get("key0") == ODD[0]
        assert again.get("key3") == store.get("key3")
        assert all(json.loads(line) for line in path.read_bytes().split(b"\n")[:-1])


def test_errors_are_not_kept(tmp_path):
    store = AnswerStore(tmp_path / "answers.jsonl")
    for wrong in (answer(1, text=None, error="status 500"), answer(1, text=None), answer(1, key="")):
        with pytest.raises(ValueError, match="r1"):
            store.add(wrong)
    assert not store.path.exists() and len(store) == 0


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[1]",
        b"",
        b'{"id": "r", "key": 3, "text": "x"}',
        b'{"id": "r", "key": "k", "text": 5}',
        b'{"id": "r", "key": "k", "text": null}',
        b'{"id": "r", "key": "k", "text": "x", "prompt_tokens": true}',
        b'{"custom_id": "r", "content": "x"}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_damaged_or_foreign_file_is_refused_and_left_alone(tmp_path, line):
    path = tmp_path / "answers.jsonl"
    first, last = (json.dumps(with_checksum(asdict(answer(number)))).encode() + b"\n" for number in (1, 2))
    data = first + line + b"\n" + last
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"answers\.jsonl', line 2: .*delete the line"):
        AnswerStore(path)
    assert path.read_bytes() == data


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        AnswerStore(tmp_path)


def test_one_writer_at_a_time_who_sees_what_others_added(tmp_path, caplog):
    first, second = AnswerStore(tmp_path / "a.jsonl"), AnswerStore(tmp_path / "a.jsonl")
    caplog.set_level(logging.WARNING)
    with first.writing():
        first.add(answer(1))
        with pytest.raises(UserError, match="another process"):
            second.add(answer(2))
    with second.writing():
        assert second.get("key1") == answer(1)
        second.add(answer(2))
    assert len(AnswerStore(first.path)) == 2 and not caplog.records


def test_a_full_disk_leaves_the_store_whole(tmp_path, monkeypatch):
    store = AnswerStore(tmp_path / "a.jsonl")
    store.add(answer(1))
    true_write = os.write

    def full(file, data):
        if len(data) > 20:  # room for a few bytes more, then for none
            return true_write(file, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    before = store.path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr("competency_gaps.endpoint.answers.os.write", full)
        with pytest.raises(MachineError, match="disk is full"):
            store.add(answer(2))
    assert store.path.read_bytes() == before and store.get("key2") is None
    store.add(answer(3))
    assert AnswerStore(store.path).get("key3") == answer(3) and len(AnswerStore(store.path)) == 2


def test_an_answer_that_was_changed_on_the_disk_is_not_taken(tmp_path):
    store = AnswerStore(tmp_path / "answers.jsonl")
    for number in range(3):
        store.add(answer(number))
    lines = store.path.read_bytes().splitlines(keepends=True)
    changed = lines[1].replace(b'"key1"', b'"key9"')
    assert changed != lines[1]
    store.path.write_bytes(lines[0] + changed + lines[2])
    with pytest.raises(UserError, match=r"line 2: its content does not match its checksum.*delete the line"):
        AnswerStore(store.path)
    held = {key: value for key, value in json.loads(lines[1]).items() if key != "checksum"}
    store.path.write_bytes(lines[0] + json.dumps(held).encode() + b"\n" + lines[2])
    with pytest.raises(UserError, match="line 2: it has no checksum"):
        AnswerStore(store.path)
