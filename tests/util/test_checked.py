"""Tables of a folder change together or not at all, wherever the process that changes them is killed."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from competency_gaps.util import checked as changes
from competency_gaps.util.checked import changing, entry_of, fault_of, read_document, settle, write_document
from competency_gaps.util.errors import MachineError, UserError
from competency_gaps.util.files import write_atomic

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


CALLS = ("replace", "unlink", "open", "write_text", "write_bytes", "touch")


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
    for step in range(0, 500, 3 if stop is interrupted else 1):
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


class Disk:
    """Knows which names in folders a power failure could still lose, and notes those at each move and removal."""

    def __init__(self, patch) -> None:
        self.lost: set[str] = set()
        self.steps: list[tuple[str, set[str]]] = []
        fsync, replace, unlink = os.fsync, Path.replace, Path.unlink

        def synced(handle):
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                self.lost -= {name for name in self.lost if Path(name).parent.samefile(f"/proc/self/fd/{handle}")}
            return fsync(handle)

        def moved(path, target):
            self.steps.append((Path(target).name, {Path(name).name for name in self.lost}))
            self.lost |= {str(target)}
            return replace(path, target)

        def removed(path, missing_ok=False):
            self.steps.append((f"no {path.name}", {Path(name).name for name in self.lost}))
            return unlink(path, missing_ok=missing_ok)

        patch.setattr(os, "fsync", synced)
        patch.setattr(Path, "replace", moved)
        patch.setattr(Path, "unlink", removed)

    def could_lose(self, step: str) -> set[str]:
        """Names that were not on the disk when a step was taken."""
        return next(names for name, names in self.steps if name == step)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which folder a number stands for")
def test_what_a_step_needs_is_on_disk_before(folder, monkeypatch):
    disk = Disk(monkeypatch)
    put(folder)
    journal = f".{DOCUMENT}.next"
    assert not disk.could_lose(journal), "new tables are there before the document names them"
    assert journal not in disk.could_lose("a") | disk.could_lose("no gone")
    assert not disk.could_lose(f"no {journal}"), "tables and document are there before the journal goes"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which folder a number stands for")
def test_a_new_folder_is_on_the_disk_with_its_file(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def recorded(handle):
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        return fsync(handle)

    monkeypatch.setattr(os, "fsync", recorded)
    write_atomic(tmp_path / "a" / "b" / "file", lambda part: part.write_text("content"))
    assert {tmp_path, tmp_path / "a", tmp_path / "a" / "b"} <= set(synced)
    synced.clear()
    write_atomic(tmp_path / "a" / "b" / "file", lambda part: part.write_text("other"))
    assert synced[-1] == tmp_path / "a" / "b" and len(synced) == 2, "the file, then its folder"


def test_an_error_leaves_nothing(folder):
    before = state(folder)
    with pytest.raises(ValueError, match="wrong"), changing(folder, DOCUMENT) as change:
        change.write("a", lambda part: part.write_text("half"))
        raise ValueError("wrong")
    with changing(folder, DOCUMENT) as change:
        change.write("a", lambda part: part.write_text("not committed"))
    assert state(folder) == before


def test_a_change_touches_nothing_outside_of_its_folder(folder):
    (folder.parent / "victim").write_text("safe")
    path = folder / f".{DOCUMENT}.next"
    write_document(path, {"files": {}, "removed_with_this_change": ["../victim"]})
    with pytest.raises(UserError, match=r"list\.json\.next is damaged"):
        settle(folder, DOCUMENT)
    assert (folder.parent / "victim").read_text() == "safe"


def test_a_reader_waits_for_the_process_that_completes_a_change(folder, monkeypatch):
    path = folder / f".{DOCUMENT}.next"
    write_document(path, {"files": {}, "removed_with_this_change": []})
    refused = MachineError("it cannot be written.")
    monkeypatch.setattr(changes, "hold", lambda _: (_ for _ in ()).throw(refused))
    monkeypatch.setattr(changes, "_PATIENCE", 0.1)
    with pytest.raises(MachineError, match="cannot be written"):
        settle(folder, DOCUMENT)
    monkeypatch.setattr(changes, "_PATIENCE", 60)
    monkeypatch.setattr(changes.time, "sleep", lambda _: path.unlink())  # the owner is done
    settle(folder, DOCUMENT)


def test_a_damaged_change_is_named(folder):
    path = folder / f".{DOCUMENT}.next"
    write_document(path, {"files": {}, "removed_with_this_change": ["a"]})
    path.write_text(path.read_text().replace('"a"', '"b"'))
    with pytest.raises(UserError, match=r"list\.json\.next is damaged: .*checksum"):
        settle(folder, DOCUMENT)
