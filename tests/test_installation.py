"""What is installed is read from the package's own metadata, and every install command can be typed."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import importlib.util
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from competency_gaps import installation
from competency_gaps.cli import doctor
from competency_gaps.errors import MissingExtraError
from core_helpers import ROOT

WANTED = {"absent-package": None, "present": "2.4.0+cpu", "old": "1.9.9"}
METADATA = [
    "numpy>=1.26",
    "present>=2.4; extra == 'run'",
    "present>=2.3.9; extra == 'demo'",
    "old>=1.10; extra == 'demo'",
    'absent-package (>=3) ; extra == "hub"',
    "present[some]; extra == 'run'",
    "present; extra == 'dev'",
]


@pytest.fixture
def metadata(monkeypatch):
    """Metadata of a made-up installation, whose versions are those of ``WANTED``."""

    class Named:
        def get_all(self, key):
            return ["run", "demo", "hub", "dev"] if key == "Provides-Extra" else None

    def version(name):
        if WANTED.get(name) is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return WANTED[name]

    monkeypatch.setattr(importlib.metadata, "metadata", lambda name: Named())
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: METADATA)
    monkeypatch.setattr(importlib.metadata, "version", version)


def declared():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_every_extra_has_a_purpose():
    assert set(declared()) - {"dev"} == set(installation.PURPOSES)


def test_every_requirement_can_be_read_and_nothing_else_than_an_extra_decides():
    for extra, lines in declared().items():
        for line in lines:
            assert installation._REQUIREMENT.fullmatch(line), line
            assert ";" not in line and not re.search(r"[<~=!]=?(?<!>=)", line.replace(">=", "")), (extra, line)


def test_the_extras_are_those_of_the_metadata():
    known = {extra.name: extra for extra in installation.extras()}
    named = set(importlib.metadata.metadata("competency-gaps").get_all("Provides-Extra"))
    assert set(known) == named & set(installation.PURPOSES) and all(extra.packages for extra in known.values())
    assert "competency-gaps" not in {package.name for extra in known.values() for package in extra.packages}
    assert {package.name for package in installation.base_packages()} >= {"polars", "numpy", "rich"}


def test_missing_and_old_packages_are_not_installed(metadata):
    found = {extra.name: extra for extra in installation.extras()}
    assert {name: extra.state for name, extra in found.items()} == {
        "run": "complete",
        "demo": "partly",
        "hub": "absent",
    }
    assert [package.requirement for package in found["demo"].missing] == ["old>=1.10"]
    assert [package.name for package in installation.base_packages()] == ["numpy"]


@pytest.mark.parametrize(
    ("version", "wanted", "there"),
    [
        ("2.10", ">=2.9", True),
        ("2.9", ">=2.10", False),
        ("2.4.0+cpu", ">=2.4", True),
        ("2", ">=2.0", True),
        ("0.9.9", ">=1", False),
        ("5.0.0rc1", ">=5.0", True),
        (None, "", False),
        ("0.1", "", True),
    ],
)
def test_versions_are_compared_as_numbers(version, wanted, there):
    assert installation.Package("some", wanted, version).there is there


def origin(monkeypatch, found):
    monkeypatch.setattr(installation, "_direct_url", lambda: found)
    monkeypatch.setattr(installation, "_pip", lambda: "pip install")


def test_the_command_names_the_place_that_the_package_came_from(monkeypatch, tmp_path, metadata):
    monkeypatch.chdir(tmp_path)
    checkout, wheel = tmp_path / "it's here", tmp_path / "competency_gaps-0.1.0-py3-none-any.whl"
    checkout.mkdir(), wheel.touch()
    cases = [
        ({"url": checkout.as_uri(), "dir_info": {"editable": True}}, ["-e", f"{checkout}[demo]"]),
        ({"url": tmp_path.as_uri(), "dir_info": {"editable": True}}, ["-e", ".[demo]"]),
        ({"url": checkout.as_uri(), "dir_info": {}}, [f"{checkout}[demo]"]),
        ({"url": wheel.as_uri(), "archive_info": {}}, [f"{wheel}[demo]"]),
        (
            {"url": "https://example.org/c.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            ["competency-gaps[demo] @ git+https://example.org/c.git@abc"],
        ),
        (
            {"url": "https://example.org/c.whl", "archive_info": {}},
            ["competency-gaps[demo] @ https://example.org/c.whl"],
        ),
        ({"url": (tmp_path / "gone.whl").as_uri()}, ["present>=2.3.9", "old>=1.10"]),
        (None, ["competency-gaps[demo]"]),
    ]
    for found, expected in cases:
        origin(monkeypatch, found)
        assert shlex.split(installation.install_command("demo")) == ["pip", "install", *expected]
        assert installation.is_editable() == ("-e" in expected)


def test_a_checkout_that_was_never_installed_is_one(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    for name in ("distribution", "metadata", "requires"):
        monkeypatch.setattr(importlib.metadata, name, absent)
    assert installation.is_editable() and installation.extras() == [] and installation.base_packages() == ()
    assert f"{ROOT}[run]" in installation.install_command("run") or ".[run]" in installation.install_command("run")


def test_pip_is_this_interpreters(monkeypatch):
    own = Path(sys.executable).parent / "pip"
    monkeypatch.setattr(installation.shutil, "which", lambda name: str(own))
    assert installation._pip() == "pip install"
    monkeypatch.setattr(installation.shutil, "which", lambda name: "/elsewhere/bin/pip")
    assert shlex.split(installation._pip()) == [sys.executable, "-m", "pip", "install"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert shlex.split(installation._pip()) == ["uv", "pip", "install", "--python", sys.executable]


def test_a_missing_extra_is_reported_with_the_same_command():
    error = MissingExtraError("datasets", "hub", "A benchmark of the hub")
    assert str(error).endswith(f"Install it with: {installation.install_command('hub')}")


def test_the_doctor_tells_each_extra_apart(metadata, monkeypatch, capsys):
    origin(monkeypatch, None)
    monkeypatch.setattr(doctor, "_device", lambda: "no torch")
    monkeypatch.setattr(doctor, "_embedded_model", lambda: "not on this machine")
    facts = doctor.examine()
    assert [(row["extra"], row["state"], row["install"]) for row in facts["extras"]] == [
        ("run", "complete", None),
        ("demo", "partly", "pip install 'competency-gaps[demo]'"),
        ("hub", "absent", "pip install 'competency-gaps[hub]'"),
    ]
    doctor.doctor(json_=False)
    out = capsys.readouterr().out
    assert "missing: old>=1.10 (is 1.9.9)" in out and "missing: absent-package>=3" in out
    assert "For the extra 'demo': pip install 'competency-gaps[demo]'\n" in out and "'run'" not in out


def test_types_are_shipped():
    assert importlib.resources.files("competency_gaps").joinpath("py.typed").is_file()
    assert "Typing :: Typed" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
