"""Tables of a folder change together or not at all, wherever the process that changes them is killed."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest

from competency_gaps import change as changes
from competency_gaps.change import changing, settle
from competency_gaps.checked import entry_of, fault_of, read_document, write_document
from competency_gaps.errors import UserError

DOCUMENT = "list.json"
OLD = {"a": "old a", "b": "old b", "gone": "old", "kept": "kept"}
NEW = {"a": "new a", "b": "new b", "new": "new", "kept": "kept"}


@pytest.fixture
def folder(tmp_path) -> Path:
    for name, text in OLD.items():
        (tmp_path / name).write_text(text)
    write_document(tmp_path / DOCUMENT, {"note": "old", "files": {name: entry_of(tmp_path / name) for name in OLD}})
    return tmp_path


def put(folder: Path) -> None:
    """Change three tables and remove one."""
    with changing(folder, DOCUMENT) as change:
        for name in ("a", "b", "new"):
            change.write(name, lambda part, name=name: part.write_text(NEW[name]))
        change.remove("gone")
        change.commit({**read_document(folder / DOCUMENT), "note": "new"})


def state(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != DOCUMENT}


def killed_at(folder: Path, step: int) -> bool:
    """Change the folder in a process that dies before its ``step``-th call to the file system; False: it was done."""
    process = os.fork()
    if not process:
        left = step

        def count(real):
            def call(*arguments, **options):
                nonlocal left
                left -= 1
                if left < 0:
                    os._exit(1)
                return real(*arguments, **options)

            return call

        for name in ("replace", "unlink", "open", "write_text", "touch"):
            setattr(Path, name, count(getattr(Path, name)))
        put(folder)
        os._exit(0)
    return os.waitpid(process, 0)[1] != 0


def test_killed_at_every_step_the_folder_is_old_or_new(folder, tmp_path_factory):
    seen, before = [], {path.name: path.read_bytes() for path in folder.iterdir()}
    for step in range(500):
        copy = tmp_path_factory.mktemp("copy")
        for name, content in before.items():
            (copy / name).write_bytes(content)
        done = not killed_at(copy, step)
        settle(copy, DOCUMENT)
        document = read_document(copy / DOCUMENT)
        now = {name: text for name, text in state(copy).items() if not name.startswith(".")}
        assert (now, document["note"]) in ((OLD, "old"), (NEW, "new")), step
        assert all(fault_of(copy / name, entry) is None for name, entry in document["files"].items())
        assert set(document["files"]) == set(now)
        seen.append(document["note"])
        if done:
            break
        put(copy)  # the same command again
        assert state(copy) == NEW, step
    assert done and seen == sorted(seen, reverse=True), "once it counts it stays"
    assert seen.count("new") > 5 and seen.count("old") > 5, "it was killed before and after"


def test_an_error_leaves_nothing(folder):
    before = state(folder)
    with pytest.raises(ValueError, match="wrong"), changing(folder, DOCUMENT) as change:
        change.write("a", lambda part: part.write_text("half"))
        raise ValueError("wrong")
    with changing(folder, DOCUMENT) as change:
        change.write("a", lambda part: part.write_text("not committed"))
    assert state(folder) == before


@pytest.mark.parametrize("name", ["../outside", "/etc/x", "a/b/c", "..", "C:\\x", "a\\b", ""])
def test_a_journal_of_somebody_else_touches_nothing_outside(folder, name):
    (folder.parent / "outside").write_text("safe")
    journal = {"document": {}, "moved": {}, "removed": [name]}
    write_document(folder / f".{DOCUMENT}.next", journal)
    with pytest.raises(UserError, match="outside of the folder"):
        settle(folder, DOCUMENT)
    write_document(folder / f".{DOCUMENT}.next", {**journal, "removed": [], "moved": {name: "a"}})
    with pytest.raises(UserError, match="outside of the folder"):
        settle(folder, DOCUMENT)
    assert (folder.parent / "outside").read_text() == "safe"


def test_a_damaged_journal_is_named(folder):
    path = folder / f".{DOCUMENT}.next"
    write_document(path, {"document": {}, "moved": {}, "removed": ["a"]})
    path.write_text(path.read_text().replace('"a"', '"b"'))
    with pytest.raises(UserError, match=r"list\.json\.next is damaged: .*checksum"):
        settle(folder, DOCUMENT)
    assert (folder / "b").is_file()


def test_a_reader_waits_for_a_change_that_is_under_way(folder, monkeypatch):
    monkeypatch.setattr(changes, "_PATIENCE", 0.1)
    write_document(folder / f".{DOCUMENT}.next", {"document": {"note": "new"}, "moved": {}, "removed": []})
    monkeypatch.setattr(changes, "hold", lambda _: (_ for _ in ()).throw(changes.HeldError("held by process 7")))
    with pytest.raises(UserError, match="held by process 7"):
        settle(folder, DOCUMENT)
    monkeypatch.undo()
    settle(folder, DOCUMENT)
    assert read_document(folder / DOCUMENT) == {"note": "new"}


def test_a_document_that_says_something_else_is_noticed(tmp_path):
    content = {"b": [1, 2.5, None, "ü"], "a": {"x": True}}
    path = tmp_path / "x.json"
    write_document(path, content)
    assert read_document(path) == content
    raw = path.read_bytes()
    for place in range(len(raw)):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        with contextlib.suppress(ValueError):
            # What is left of it may be laid out otherwise, or have no checksum: what it says is the same.
            assert {key: held for key, held in read_document(path).items() if key in content} == content
    # The order of its keys says nothing.
    held = json.loads(raw)
    path.write_text(json.dumps(dict(reversed(held.items()))))
    assert read_document(path) == content
