"""Record the screens of documents again: blocks after a comment ``<!-- screen: cgaps show RUN -->``.

    python docs/record.py --run RUN=runs/mmlu_pro --run demo-run=demo-run docs/*.md [--check]

``RUN`` stands for a path in the comments; screens of runs that are not given stay as they are. ``--check`` writes
nothing and fails where a command fails or the lines without figures differ: figures may differ from machine to machine,
and with another version of a library. A screen is 80 columns wide, begins with its command unless the block above ends
with it, and has texts of items at the end of a line cut out.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

SCREEN = re.compile(r"(<!-- screen: (cgaps .*?) -->\n```\w*\n)((?:\$ [^\n]*\n)?)(.*?)(\n```)", re.DOTALL)
ITEM = re.compile(r"“[^”]*”(?=\s*$)", re.MULTILINE)
CGAPS = (sys.executable, "-c", "from competency_gaps.cli.app import main; main()")


def screen(command: str, runs: dict[str, str]) -> tuple[int, str]:
    """What a command prints, and the status with which it ends."""
    words = [runs.get(word, word) for word in shlex.split(command)[1:]]
    done = subprocess.run([*CGAPS, *words], env={**os.environ, "COLUMNS": "80"}, capture_output=True, text=True)
    text = done.stdout if done.returncode == 0 else done.stdout + done.stderr
    for name, path in runs.items():
        text = text.replace(path, name)
    return done.returncode, ITEM.sub("“…”", re.sub(r" +$", "", text.strip("\n"), flags=re.MULTILINE))


def frame(text: str) -> list[str]:
    """The lines without figures."""
    return [" ".join(line.split()) for line in text.splitlines() if not re.search(r"\d", line)]


def main() -> None:
    """Record or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--run", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    runs = dict(name.split("=", 1) for name in options.run)
    faults, seen = [], 0

    def again(found: re.Match[str]) -> str:
        nonlocal seen
        if not any(word in runs for word in shlex.split(found[2])):
            return found[0]
        status, text = screen(found[2], runs)
        seen += 1
        if status or (options.check and frame(text) != frame(found[4])):
            faults.append(f"{file}: {found[2]}: " + (f"ends with {status}: {text[-300:]}" if status else "differs"))
            return found[0]
        is_typed = before[: found.start()].rstrip().endswith(f"{found[2]}\n```")
        return found[1] + ("" if is_typed else found[3] or f"$ {found[2]}\n") + text + found[5]

    for file in options.files:
        before = file.read_text(encoding="utf-8")
        after = SCREEN.sub(again, before)
        if after != before and not options.check:
            file.write_text(after, encoding="utf-8")
    sys.exit("\n".join(faults) or print(f"{seen} screens {'hold' if options.check else 'recorded'}"))


if __name__ == "__main__":
    main()
