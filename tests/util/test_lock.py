"""Two processes never write to one folder: the second is refused, and told who holds it."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import threading

import pytest

from competency_gaps.util import lock
from competency_gaps.util.errors import MachineError, UserError
from competency_gaps.util.lock import HeldError, hold
from core_helpers import held_elsewhere


def test_a_second_process_is_refused_and_told_the_holder(tmp_path):
    folder = tmp_path / "run"
    with held_elsewhere(folder) as other:
        with pytest.raises(HeldError) as refused, hold(folder):
            pass
        message = str(refused.value)
        assert f"process {other.pid} on {socket.gethostname()}, since 20" in message and str(folder) in message
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        assert (folder / lock.FILE).is_file(), "a killed process leaves its file, and no lock"
        with hold(folder):
            pass
    assert not folder.exists() or list(folder.iterdir()) == []


WITHOUT_LOCKS = """
import errno, fcntl
def flock(*_):
    raise OSError({number}, "no locks")
fcntl.flock = flock
"""


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_without_locks_of_the_system_a_marker_holds_the_folder(tmp_path, monkeypatch, number):
    folder = tmp_path / "run"

    def flock(*_):
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    with (
        held_elsewhere(folder, WITHOUT_LOCKS.format(number=number)) as other,
        pytest.raises(HeldError, match=f"process {other.pid} on"),
        hold(folder),
    ):
        pass
    with hold(folder), hold(folder):  # the marker of a killed process is replaced
        (folder / "table").touch()
    assert not [path.name for path in folder.iterdir() if "marker" in path.name]


def test_a_lock_leaves_nothing_behind(tmp_path):
    with hold(tmp_path / "new"):
        assert (tmp_path / "new" / lock.FILE).is_file()
    assert not (tmp_path / "new").exists(), "it was made for the lock alone"
    (tmp_path / "old").mkdir()
    with hold(tmp_path / "old"), hold(tmp_path / "old"):
        (tmp_path / "old" / "table").touch()
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["table"]
    with pytest.raises(UserError, match="inside one"), hold(tmp_path / "old" / "table"):
        pass


def test_threads_of_one_process_are_kept_apart(tmp_path):
    refused = []

    def other():
        try:
            with hold(tmp_path):
                pass
        except HeldError:
            refused.append(True)

    with hold(tmp_path), hold(tmp_path):  # a step inside of a command
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    other()
    assert refused == [True]


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC])
def test_what_the_system_refuses_in_the_folder_is_named(tmp_path, number):
    says = "the disk is full" if number == errno.ENOSPC else "cannot be written"
    with pytest.raises(MachineError, match=says) as error, hold(tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "activations" / "x"))
    assert str(tmp_path) in str(error.value) and "is kept" in str(error.value)
    with pytest.raises(PermissionError), hold(tmp_path):
        raise PermissionError(errno.EACCES, "no", str(tmp_path.parent / "elsewhere" / "model"))
