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


class User:
    """Somebody who answers, or nobody (None)."""

    def __init__(self, reply: bool | None) -> None:
        self.text = io.StringIO()
        self.questions: list[str] = []
        self.progress = Progress(
            Console(file=self.text, width=400), confirm=None if reply is None else lambda text: self.answer(text, reply)
        )

    def answer(self, question: str, reply: bool) -> bool:
        self.questions.append(question)
        return reply


def ask(url: str, folder, user: User, **options):
    way = Asking.of(AskConfig(base_url=url, model="fake", **options))
    return way.answers([request(1), request(2)], folder, user.progress, lambda answer: True)


def test_yes_sends_and_what_is_kept_needs_no_second_yes(tmp_path):
    with serve() as fake:
        yes, later = User(True), User(None)
        assert len(ask(fake.url, tmp_path, yes)) == 2
        assert len(yes.questions) == 1 and "2 requests to ask" in yes.questions[0]
        assert len(ask(fake.url, tmp_path, later)) == 2
        assert fake.paid.total() == 2


@pytest.mark.parametrize(
    ("reply", "message"), [(False, "nothing is spent"), (None, "2 requests to ask.* Nobody can be asked.* give yes")]
)
def test_without_a_yes_nothing_is_sent(tmp_path, reply, message):
    user = User(reply)
    with serve() as fake, pytest.raises(UserError, match=message):
        ask(fake.url, tmp_path, user)
    assert not fake.bodies and all("2 requests to ask" in question for question in user.questions)


def test_told_before_nobody_is_asked(tmp_path):
    user = User(False)
    with serve() as fake:
        assert len(ask(fake.url, tmp_path, user, yes=True)) == 2
    assert not user.questions and "2 requests to ask" in user.text.getvalue()
