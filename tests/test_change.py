"""Tables of a folder change together or not at all, wherever the process that changes them is killed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path

import pytest

from competency_gaps import change as changes
from competency_gaps.change import changing, settle
from competency_gaps.checked import entry_of, fault_of, read_document, write_document
from competency_gaps.errors import MachineError, UserError

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


CALLS = ("replace", "unlink", "open", "write_text", "touch")


def fail_at(step: int, fail) -> None:
    """Call ``fail`` before the ``step``-th call to the file system from now on."""
    left = step

    def count(real):
        def call(*arguments, **options):
            nonlocal left
            left -= 1
            if left < 0:
                fail()
            return real(*arguments, **options)

        return call

    for name in CALLS:
        setattr(Path, name, count(getattr(Path, name)))


def stopped_at(folder: Path, step: int, stop) -> bool:
    """Change the folder in a process that stops before its ``step``-th call to the file system; False: it was done."""
    process = os.fork()
    if not process:
        real = {name: getattr(Path, name) for name in CALLS}

        def fail():
            for name, own in real.items():  # what follows the error works
                setattr(Path, name, own)
            stop()

        fail_at(step, fail)
        try:
            put(folder)
        except (KeyboardInterrupt, OSError):
            os._exit(1)
        os._exit(0)
    return os.waitpid(process, 0)[1] != 0


def killed():
    os._exit(1)


def interrupted():
    raise KeyboardInterrupt


def refused():
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("stop", [killed, interrupted, refused])
def test_stopped_at_every_step_the_folder_is_old_or_new(folder, tmp_path_factory, stop):
    seen, before = [], {path.name: path.read_bytes() for path in folder.iterdir()}
    for step in range(500):
        copy = tmp_path_factory.mktemp("copy")
        for name, content in before.items():
            (copy / name).write_bytes(content)
        done = not stopped_at(copy, step, stop)
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
    assert seen.count("new") > 5 and seen.count("old") > 5, "it was stopped before and after"


def test_an_error_leaves_nothing(folder):
    before = state(folder)
    with pytest.raises(ValueError, match="wrong"), changing(folder, DOCUMENT) as change:
        change.write("a", lambda part: part.write_text("half"))
        raise ValueError("wrong")
    with changing(folder, DOCUMENT) as change:
        change.write("a", lambda part: part.write_text("not committed"))
    assert state(folder) == before


def write_journal(folder: Path, *, moved=None, removed=(), document=None) -> Path:
    path = folder / f".{DOCUMENT}.next"
    write_document(path, {"document": document or {}, "moved": moved or {}, "removed": list(removed)})
    return path


NAMES = ["../outside", "/etc/x", "a/b/c", "..", "C:\\x", "a\\b", "", "a\0b", 5, "link/victim", "sub"]


@pytest.mark.parametrize("name", NAMES)
def test_a_journal_of_somebody_else_touches_nothing_outside(folder, tmp_path_factory, name):
    other = tmp_path_factory.mktemp("other")
    for place in (folder.parent / "outside", other / "victim", other / f".a.{'0' * 8}.new"):
        place.write_text("safe")
    (folder / "link").symlink_to(other)
    (folder / "sub").mkdir()
    made = f".a.{'0' * 8}.new"
    (folder / made).write_text("new")
    linked = f".b.{'0' * 8}.new"
    (folder / linked).symlink_to(other / "victim")
    moves = [{"a": name}, {"a": f"link/{made}"}, {"b": linked}, {"a": f".b.{'0' * 8}.new"}]
    moves += [{name: f".{name}.{'0' * 8}.new"}] if isinstance(name, str) else []
    for journal in ({"removed": [name]}, *({"moved": moved} for moved in moves)):
        write_journal(folder, **journal)
        with pytest.raises(UserError, match=r"list\.json\.next is damaged"):
            settle(folder, DOCUMENT)
    assert {path.read_text() for path in (folder.parent / "outside", *other.iterdir())} == {"safe"}
    assert (folder / "a").read_text() == "old a" and (folder / "b").read_text() == "old b"


def test_a_new_table_that_is_lost_is_not_taken_for_one_that_was_moved(folder):
    known = read_document(folder / DOCUMENT)
    entry = {"sha256": "0" * 64, "bytes": 5}
    content = {**known, "files": {**known["files"], "b": entry}}
    path = write_journal(folder, moved={"b": f".b.{'0' * 8}.new"}, document=content)
    with pytest.raises(UserError, match=r"damaged: the new b is missing, .* Remove it, and run"):
        settle(folder, DOCUMENT)
    assert read_document(folder / DOCUMENT) == known and path.is_file()


def test_who_may_only_read_waits_and_is_told_who_completes_a_change(folder, monkeypatch):
    monkeypatch.setattr(changes, "_PATIENCE", 0.1)
    path = write_journal(folder)
    monkeypatch.setattr(changes, "hold", lambda _: (_ for _ in ()).throw(MachineError("it cannot be written.")))
    with pytest.raises(MachineError, match="interrupted, and it cannot be completed here: it cannot be written"):
        settle(folder, DOCUMENT)
    monkeypatch.setattr(changes, "_PATIENCE", 60)
    monkeypatch.setattr(changes.time, "sleep", lambda _: path.unlink())  # the owner is done
    settle(folder, DOCUMENT)


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
            assert read_document(path) == content  # it may be laid out otherwise
    # The order of its keys says nothing.
    held = json.loads(raw)
    path.write_text(json.dumps(dict(reversed(held.items()))))
    assert read_document(path) == content
