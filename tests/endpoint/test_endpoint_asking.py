"""Whether to spend is asked first, and nothing is sent without a yes."""

from __future__ import annotations

import io

import pytest
from endpoint_helpers import request
from rich.console import Console

from competency_gaps.config import AskConfig
from competency_gaps.endpoint import Asking
from competency_gaps.errors import UserError
from competency_gaps.progress import Progress
from fake_endpoint import serve


class Terminal(Progress):
    """Somebody who answers, or nobody (None)."""

    def __init__(self, reply: bool | None) -> None:
        self.text = io.StringIO()
        super().__init__(Console(file=self.text, width=400), quiet=True)
        self.reply, self.questions = reply, 0

    @property
    def can_ask(self) -> bool:
        return self.reply is not None

    def confirm(self, question: str) -> bool:
        self.questions += 1
        return bool(self.reply)


def ask(url: str, folder, terminal: Terminal, **options):
    way = Asking.of(AskConfig(base_url=url, model="fake", **options))
    return way.answers([request(1), request(2)], folder, terminal, lambda answer: True)


def test_yes_sends_and_what_is_kept_needs_no_second_yes(tmp_path):
    with serve() as fake:
        yes, later = Terminal(True), Terminal(None)
        assert len(ask(fake.url, tmp_path, yes)) == 2
        assert yes.questions == 1 and "2 requests to ask" in yes.text.getvalue()
        assert len(ask(fake.url, tmp_path, later)) == 2
        assert fake.paid.total() == 2 and not later.text.getvalue()


@pytest.mark.parametrize(("reply", "message"), [(False, "nothing is spent"), (None, "give --yes")])
def test_without_a_yes_nothing_is_sent(tmp_path, reply, message):
    terminal = Terminal(reply)
    with serve() as fake, pytest.raises(UserError, match=message):
        ask(fake.url, tmp_path, terminal)
    assert not fake.bodies and "2 requests to ask" in terminal.text.getvalue()


def test_told_before_nobody_is_asked(tmp_path):
    terminal = Terminal(False)
    with serve() as fake:
        assert len(ask(fake.url, tmp_path, terminal, yes=True)) == 2
    assert not terminal.questions
