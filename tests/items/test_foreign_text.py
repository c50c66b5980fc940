"""Texts of other tools that must not reach a tokenizer or terminal unchanged."""

from __future__ import annotations

import io

from rich.console import Console

from competency_gaps.items.item import Item, Text
from competency_gaps.util.progress import Progress
from core_helpers import benchmark_of


def test_a_lone_surrogate_drops_its_item_alone():
    objects = [
        {"id": "a", "prompt": "hello \ud800 there", "scorer": "none"},
        {"id": "b", "prompt": "whole 🦊", "scorer": "none"},
        {"id": "c", "prompt": "whole", "response": "half \udc00", "scorer": "none"},
        Item(id="d", prompt="x", scorer="none", metadata={"deep": ["\ud83d"]}),
        Item(id="e", prompt="x", scorer="none", seen=Text("x \ud83d", (0, 1), templated=False)),
    ]
    made = benchmark_of("quiz", objects)
    assert [item.id for item in made.items] == ["b"]
    assert [left.reason.code for left in made.left_out] == ["half_character"] * 4
    assert len(made.content_hash()) == 64


def test_messages_contain_no_terminal_escapes():
    out = io.StringIO()
    progress = Progress()
    progress.console = Console(file=out, width=200)
    progress.say("left out member \x1b]0;title\x07of a file: \u202egnp.exe\nsecond line")
    assert "\x1b" not in out.getvalue() and "\u202e" not in out.getvalue()
    assert "<U+001B>" in out.getvalue() and "\nsecond line" in out.getvalue()
