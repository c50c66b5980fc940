"""Wheels whose contents are used uninstalled: whole or not there, from pip or uv, killed, slow, two at once."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from competency_gaps.embedded.pins import REASONING_GYM
from competency_gaps.embedded.wheels import local_package, unpacked_wheel
from embedded_helpers import build_wheel, slow_pip, work_folders

from competency_gaps.embedded import cache, download, wheels
from competency_gaps.errors import UserError

UV = """#!{python}
import hashlib, sys, zipfile
from pathlib import Path
arguments = sys.argv[1:]
assert arguments[:2] == ["pip", "install"] and "--no-deps" in arguments and "--require-hashes" in arguments
requirement = Path(arguments[arguments.index("--requirement") + 1]).read_text()
wheel = Path({wheel!r})
if hashlib.sha256(wheel.read_bytes()).hexdigest() not in requirement:
    sys.exit("error: Hash mismatch")
zipfile.ZipFile(wheel).extractall(arguments[arguments.index("--target") + 1])
"""


def value(folder: Path) -> str:
    """What a Python with this folder on its path reads from the package."""
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); from tiny_package.deep.number import X; print(X)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def fetching(wheel) -> subprocess.Popen[str]:
    """A process of its own that fetches a wheel, with this environment."""
    code = (
        "from competency_gaps.embedded.pins import PinnedPackage\n"
        "from competency_gaps.embedded.wheels import unpacked_wheel\n"
        f"print(unpacked_wheel({wheel!r}))"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def wait_for(condition, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def test_unpacked_whole_then_cached(package, place, progress, request):
    folder = unpacked_wheel(package, progress)
    assert folder == place / "tiny_package-1.0" and value(folder) == "41"
    assert [path.name for path in place.iterdir()] == [folder.name]
    request.getfixturevalue("no_process")
    assert unpacked_wheel(package) == folder == local_package(package), "and files that Python wrote there do not harm"


@pytest.mark.parametrize("name", ["tiny_package/deep/number.py", "tiny_package-1.0.dist-info/RECORD"])
@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda file: os.truncate(file, 3),
        lambda file: file.write_bytes(bytes(file.stat().st_size)),
    ],
    ids=["absent", "short", "zeros"],
)
def test_damaged_contents_are_named_and_fetched_again(package, progress, caplog, name, damage):
    folder = unpacked_wheel(package)
    damage(folder / name)
    assert local_package(package) is None
    assert unpacked_wheel(package, progress) == folder and value(folder) == "41" and len(progress.stages) == 1
    assert f"{folder} is damaged" in caplog.text


def test_a_changed_file_is_not_hidden_by_a_changed_list(package, place, caplog):
    """The list of files is itself compared with what is pinned."""
    folder = unpacked_wheel(package)
    changed = place.parent / "changed"
    changed.mkdir()
    build_wheel(changed, "tiny_package", {"tiny_package/__init__.py": b"", "tiny_package/deep/number.py": b"X = 99\n"})
    with zipfile.ZipFile(changed / package.file) as archive:
        archive.extractall(folder)
    assert value(folder) == "99" and local_package(package) is None and f"{folder} is damaged" in caplog.text
    assert value(unpacked_wheel(package)) == "41"


def test_files_are_checked_once_per_process(package):
    folder = unpacked_wheel(package)
    assert local_package(package) == folder
    (folder / "tiny_package" / "deep" / "number.py").unlink()
    assert local_package(package) == folder


def test_an_installed_package_is_used(package, tmp_path, monkeypatch, no_process):
    site = tmp_path / "site"
    (site / "tiny_package").mkdir(parents=True)
    (site / "tiny_package" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(site))
    assert local_package(package) == unpacked_wheel(package) == site


def test_the_pinned_package_as_it_lies_in_the_cache(monkeypatch):
    """Compared where a machine has it; a wrong pin would fetch it again in every process."""
    monkeypatch.delenv("CGAPS_CACHE")
    folder = cache.cache_folder() / REASONING_GYM.folder
    if not folder.is_dir():
        pytest.skip("reasoning-gym is not in the cache folder")
    assert wheels._is_intact(folder, REASONING_GYM)


def test_nothing_anywhere_names_three_ways(package, shelf, place):
    (shelf / package.file).unlink()
    with pytest.raises(UserError) as error:
        unpacked_wheel(package)
    text = str(error.value)
    assert len([line for line in text.splitlines() if line.startswith("- ")]) == 3
    assert f"pip download --no-deps tiny-package==1.0' and copy {package.file} into {place}" in text
    assert "No matching distribution" in text
    assert "- install the package, which needs a C compiler: pip install tiny-package==1.0" in text


def test_a_slow_source_moves_the_bar(package, shelf, stand_in, progress):
    stand_in("pip", slow_pip(shelf / package.file, 0.3))
    assert value(unpacked_wheel(package, progress)) == "41"
    ((_, total, steps),) = progress.stages
    shown = [sum(steps[: i + 1]) for i in range(len(steps))]
    assert len({round(amount, 3) for amount in shown if 0 < amount < total}) >= 3, shown
    assert shown == sorted(shown) and shown[-1] == pytest.approx(total)


def test_a_work_folder_in_use_does_not_look_abandoned(package, stand_in):
    stand_in(
        "pip",
        """
import os, sys, time
from pathlib import Path
into = Path(sys.argv[sys.argv.index("--dest") + 1])
into.mkdir()
os.utime(into.parent, (0, 0))
time.sleep(1.5)
sys.exit(f"recent: {time.time() - into.parent.stat().st_mtime < 60}")
""",
    )
    with pytest.raises(UserError, match="pip: recent: True"):
        unpacked_wheel(package)


def test_a_stalled_download_is_abandoned(package, tmp_path, stand_in, monkeypatch):
    monkeypatch.setattr(download, "STALLED", 1.0)
    running = tmp_path / "running"
    stand_in("pip", f"import os, time\nopen({str(running)!r}, 'w').write(str(os.getpid()))\ntime.sleep(120)")
    begin = time.monotonic()
    with pytest.raises(UserError, match="pip: nothing arrived for 1 seconds"):
        unpacked_wheel(package)
    assert time.monotonic() - begin < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(running.read_text()), 0)


def test_passwords_in_addresses_are_left_out(package, stand_in):
    stand_in("pip", "raise SystemExit('ERROR: https://user:s3cret@mirror.example/simple and ftp://token@b: refused')")
    with pytest.raises(UserError, match=r"https://mirror\.example/simple and ftp://b: refused") as error:
        unpacked_wheel(package)
    assert "s3cret" not in str(error.value) and "token" not in str(error.value)


def test_killed_while_it_downloads(package, shelf, place, stand_in, progress, monkeypatch):
    """Nothing that looks whole is left; the next one works, and a later one removes what is left."""
    stand_in("pip", slow_pip(shelf / package.file, 0.3, chunks=8))
    process = fetching(package)
    wait_for(lambda: any(path.stat().st_size for path in place.glob(".work-*/pip/growing")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    (left,) = work_folders(place)
    assert [path.name for path in place.iterdir()] == [left.name] and local_package(package) is None
    monkeypatch.delenv("PYTHONPATH")
    folder = unpacked_wheel(package, progress)
    assert value(folder) == "41" and left.exists(), "it may be another process's"
    wait_for(lambda: (left / "pip" / package.file).exists())  # the orphan ends
    old = time.time() - cache.LEFTOVER_AGE - 1
    os.utime(left, (old, old))
    (folder / "tiny_package" / "__init__.py").unlink()
    unpacked_wheel(package)
    assert not left.exists()


def test_two_at_once(package, shelf, place, stand_in):
    stand_in("pip", slow_pip(shelf / package.file, 0.2))
    processes = [fetching(package) for _ in range(2)]
    wait_for(lambda: len(list(place.glob(".work-*/pip/growing"))) == 2)
    outputs = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert set(outputs) == {str(place / "tiny_package-1.0")} and value(Path(outputs[0])) == "41"
    assert [path.name for path in place.iterdir()] == ["tiny_package-1.0"]


def put_uv(tmp_path, monkeypatch, wheel: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    uv = programs / "uv"
    uv.write_text(UV.format(python=sys.executable, wheel=str(wheel)))
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(programs))


def test_uv_is_used_without_pip(package, shelf, place, tmp_path, monkeypatch, without_pip, progress):
    put_uv(tmp_path, monkeypatch, shelf / package.file)
    folder = unpacked_wheel(package, progress)
    assert folder == place / "tiny_package-1.0" and value(folder) == "41" and len(progress.stages) == 1


def test_uv_refuses_another_wheel(package, shelf, place, tmp_path, monkeypatch, without_pip):
    put_uv(tmp_path, monkeypatch, shelf / package.file)
    with (shelf / package.file).open("ab") as file:
        file.write(b"more")
    with pytest.raises(UserError, match="uv: error: Hash mismatch"):
        unpacked_wheel(package)
    assert list(place.iterdir()) == []


def test_real_uv(package, shelf, place, without_pip, progress):
    if not any((Path(folder) / "uv").exists() for folder in os.get_exec_path()):
        pytest.skip("uv is not installed")
    folder = unpacked_wheel(package, progress)
    assert folder == place / "tiny_package-1.0" and value(folder) == "41"
    (folder / "tiny_package" / "__init__.py").unlink()
    build_wheel(shelf, "tiny_package", {"tiny_package/__init__.py": b"changed = True\n"})
    with pytest.raises(UserError, match="Hash mismatch"):
        unpacked_wheel(package)


def test_neither_pip_nor_uv(package, tmp_path, monkeypatch, without_pip):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(UserError, match="pip, uv: neither is installed"):
        unpacked_wheel(package)
