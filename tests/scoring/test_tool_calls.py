import signal
import time

import pytest

from competency_gaps.items.config import BenchmarkConfig
from competency_gaps.items.item import Item
from competency_gaps.items.scorer import Output
from competency_gaps.pipeline.load import load_benchmark, make_scorer
from competency_gaps.scoring import verifier as verifier_module
from competency_gaps.scoring.text import TimeLimitReached, time_limit


def math_score(text, gold):
    scorer = make_scorer("math")
    item = Item(id="i", prompt="p", answer=gold)
    assert scorer.check(item) is None
    return scorer.score(item, Output(text=text)).value


@pytest.mark.parametrize(
    ("text", "gold", "value"),
    [
        (r"So $x = \boxed{\frac{1}{2}}$.", "0.5", 1),
        (r"\boxed{2\sqrt{3}}", r"\sqrt{12}", 1),
        (r"\boxed{(3, \frac{\pi}{2})}", r"\left( 3, \frac{\pi}{2} \right)", 1),
        (r"\boxed{274i+1}", "1+274i", 1),
        (r"\boxed{5}", "6", 0),
        ("It is Evelyn.", r"\text{Evelyn}", 0),
        ("Evelyn.", r"\text{Evelyn}", 1),
        (r"thus \boxed{\text{Evelyn}}", r"\text{Evelyn}", 1),
    ],
)
def test_math(text, gold, value):
    assert math_score(text, gold) == value


def test_slow_comparisons_are_unscored():
    scorer = make_scorer("math", {"seconds": 0.01})
    result = scorer.score(Item(id="i", prompt="p", answer="6"), Output(text=r"$\frac{1}{2} + x$ " * 5000))
    assert result.value is None and result.unscored.numbers == (0.01,)


def test_slow_searches_are_unscored():
    scorer = make_scorer("regex", {"seconds": 0.1})
    result = scorer.score(Item(id="i", prompt="p", answer="(a+)+$"), Output(text="a" * 27 + "!"))
    assert result.value is None and result.unscored.numbers == (0.1,)


def test_time_limit_restores_an_earlier_timer():
    fired = []
    handler = signal.signal(signal.SIGALRM, lambda *_: fired.append(True))
    earlier = signal.setitimer(signal.ITIMER_REAL, 50)
    try:
        with pytest.raises(TimeLimitReached), time_limit(0.05):
            time.sleep(5)
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left < 50 and not fired
        with time_limit(100):
            pass
        assert signal.getitimer(signal.ITIMER_REAL)[0] <= left
    finally:
        signal.setitimer(signal.ITIMER_REAL, *earlier)
        signal.signal(signal.SIGALRM, handler)


def verifier_items(family, **source):
    config = BenchmarkConfig(name="b", source={"kind": "reasoning_gym", "family": family, "size": 3, **source})
    return load_benchmark(config).items


@pytest.mark.parametrize("family", ["chain_sum", "rotate_matrix", "number_sorting", "family_relationships"])
def test_verifier_scores_right_and_wrong_answers(family):
    scorer = make_scorer("verifier")
    for item in verifier_items(family):
        assert scorer.check(item) is None
        for text in (item.answer, f"Let me think.\nAnswer: {item.answer}", f" {item.answer}\n"):
            assert scorer.score(item, Output(text=text)).value == 1
        assert scorer.score(item, Output(text="Answer: nonsense")).value < 0.1


def test_verifier_scores_are_clipped_and_limited(monkeypatch):
    class Fake:
        def score_answer(self, answer, entry):
            if answer == "slow":
                time.sleep(5)
            return {"high": 3.0, "low": -1.0}[answer]

    monkeypatch.setattr(verifier_module, "_dataset", lambda family, difficulty: Fake())
    item = Item(id="i", prompt="p", metadata={"verifier": {"family": "f", "difficulty": {}, "entry": {}}})
    scorer = make_scorer("verifier", {"seconds": 0.05})
    values = [scorer.score(item, Output(text=text)).value for text in ("high", "low", "slow")]
    assert values == [1.0, 0.0, None]
