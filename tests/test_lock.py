"""Two processes never write to one folder: the second is refused, and told who holds it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from competency_gaps import lock
from competency_gaps.errors import MachineError, UserError
from competency_gaps.lock import HeldError, hold
from core_helpers import held_elsewhere


def test_a_second_process_is_refused_and_told_who_holds_the_folder(tmp_path):
    folder = tmp_path / "run"
    with held_elsewhere(folder) as other:
        with pytest.raises(HeldError) as refused, hold(folder):
            pass
        said = str(refused.value)
        assert f"process {other.pid} on {socket.gethostname()}, since 20" in said and str(folder) in said
        assert isinstance(refused.value, UserError)
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        assert (folder / lock.FILE).is_file(), "a killed process leaves its file, and no lock"
        with hold(folder):
            pass
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_lock_leaves_nothing_behind(tmp_path):
    with hold(tmp_path / "new"):
        assert (tmp_path / "new" / lock.FILE).is_file()
    assert not (tmp_path / "new").exists(), "it was made for the lock alone"
    (tmp_path / "old").mkdir()
    with hold(tmp_path / "old"), hold(tmp_path / "old"):
        (tmp_path / "old" / "table").touch()
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["table"]
    with pytest.raises(UserError, match="in, a file"), hold(tmp_path / "old" / "table"):
        pass


def test_threads_of_one_process_are_kept_apart_too(tmp_path):
    said = []

    def other():
        try:
            with hold(tmp_path):
                said.append("held")
        except HeldError as error:
            said.append(str(error))

    with hold(tmp_path):
        with hold(tmp_path):  # a step inside of a command
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(said) == 1 and "another thread of this process" in said[0]
    other()
    assert said[1] == "held"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_what_the_system_refuses_in_the_folder_is_said(tmp_path, monkeypatch, number):
    full = number == errno.ENOSPC
    says = "the disk is full" if full else "cannot be written"
    with pytest.raises(MachineError, match=says) as error, hold(tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "activations" / "x"))
    assert str(tmp_path) in str(error.value) and "is kept" in str(error.value)
    real = os.open

    def refused(path, *arguments):
        if str(path).startswith(str(tmp_path)):
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(MachineError, match=says), hold(tmp_path):
        pass


def test_other_errors_of_the_body_stay_what_they_are(tmp_path):
    with pytest.raises(PermissionError), hold(tmp_path / "run"):
        raise PermissionError(errno.EACCES, "no", str(tmp_path / "elsewhere" / "model"))
    with pytest.raises(ValueError, match="wrong"), hold(tmp_path / "run"):
        raise ValueError("wrong")


def test_a_folder_is_named_whatever_way_leads_to_it(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")

    def refused(path, *arguments):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refused)
    for way in (tmp_path / "link", Path("../run"), Path("../link/new")):
        with pytest.raises(MachineError, match="cannot be written"), hold(way):
            pass


def test_an_error_whose_file_is_a_number_stays_what_it_is(tmp_path):
    with pytest.raises(PermissionError), hold(tmp_path):
        raise PermissionError(errno.EACCES, "no", 7)


def test_a_lock_that_is_a_link_is_not_written(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "victim").write_text("safe")
    (tmp_path / "run" / lock.FILE).symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match="is a link"), hold(tmp_path / "run"):
        pass
    assert (tmp_path / "victim").read_text() == "safe"


def test_a_forked_process_holds_nothing(tmp_path):
    with hold(tmp_path):
        process = os.fork()
        if not process:
            try:
                with hold(tmp_path):
                    os._exit(1)
            except HeldError:
                os._exit(0)
        assert os.waitpid(process, 0)[1] == 0
        assert (tmp_path / lock.FILE).is_file()
    with hold(tmp_path):
        pass
