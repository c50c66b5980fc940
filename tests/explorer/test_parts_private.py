"""What is mailed: no places on a disk, and redacted only reasons that are the project's own."""

from __future__ import annotations

from pathlib import Path

import pytest

import competency_gaps
from competency_gaps.explorer.parts.paths import command_line, last_names
from competency_gaps.explorer.parts.reasons import BEGINNINGS, KNOWN, told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/alice/models/tiny", "tiny"),
        ("/home/alice/my models/tiny b", "tiny b"),
        ("~/models/tiny", "tiny"),
        ("C:\\Users\\alice\\my run", "my run"),
        ("\\\\server\\alice\\run", "run"),
        ("file:///home/alice/x.jsonl", "x.jsonl"),
        ("/home/alice/b0.jsonl:7", "b0.jsonl:7"),
        ("not read: x (/home/alice/x), y", "not read: x (x), y"),
        ("see:/home/alice/x and C:/Users/alice/y.", "see:x and y."),
        ("[{'path': PosixPath('/home/alice/my runs/b.jsonl'), 'n': 1}]", "[{'path': PosixPath('b.jsonl'), 'n': 1}]"),
        ("tiny/<b>model</b>", "tiny/<b>model</b>"),
        ("https://www.neuronpedia.org/a/b and and/or 3 / 4", "https://www.neuronpedia.org/a/b and and/or 3 / 4"),
        ("runs/demo", "runs/demo"),
        ("/", "/"),
    ],
)
def test_paths_are_their_last_names(text, shown):
    assert last_names(text) == shown
    assert last_names({"/home/alice": [text, (1, None, text)]}) == {"/home/alice": [shown, [1, None, shown]]}


def test_commands_stay_commands():
    given = "/home/alice/bin/cgaps run './a b.yaml' --out='/home/alice/my run' -o /home/alice/x"
    assert command_line(given) == "cgaps run './a b.yaml' '--out=my run' -o x"
    assert command_line(["cgaps", "run", "/home/alice/a b"]) == "cgaps run 'a b'"
    assert command_line("cgaps run /home/alice/x 'open") == "cgaps run x 'open"


def test_reasons_are_those_that_the_package_writes():
    package = Path(competency_gaps.__file__).parent
    files = [file for file in package.rglob("*.py") if "explorer" not in file.parts]
    source = "\n".join(file.read_text(encoding="utf-8") for file in files)
    # Long sentences are written in pieces.
    source = source.replace('"\n', "").replace('"', "")
    assert not [reason for reason in (*KNOWN, *BEGINNINGS) if reason not in source]


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("excluded", "excluded"),
        ("longer than the context: 1,000 + 20 > 512 tokens", "longer than the context: 1,000 + 20 > 512 tokens"),
        ("the comparison took longer than 2.5 s", "the comparison took longer than 2.5 s"),
        ("its verifier refuses its own answer 'zebra'", "its verifier refuses its own answer"),
        ("2 of 2 games without a usable verdict: zebra; fish", "2 of 2 games without a usable verdict"),
        ("no judge was asked: give --judge", "no judge was asked"),
        ("zebra has no score", "not told"),
        ("no score for zebra", "not told"),
        ("", "not told"),
    ],
)
def test_what_is_none_of_ours_is_not_told(reason, shown):
    assert told(reason) == shown
