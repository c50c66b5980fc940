import importlib.util
import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competency_gaps.items.config import BenchmarkConfig
from competency_gaps.items.generate import pack, unpack
from competency_gaps.items.item import Reason
from competency_gaps.pipeline.load import load_benchmark
from competency_gaps.util.text import plural

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
ENTRIES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3)
        | st.dictionaries(st.tuples(st.integers(), st.integers()), inner, max_size=2)
    ),
    max_leaves=8,
)


def load(family, **source):
    return load_benchmark(BenchmarkConfig(name="b", source={"kind": "reasoning_gym", "family": family, **source}))


def same(a, b):
    """Equal in types too: 1 is not True, and a tuple is not a list."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(map(repr, a)) == list(map(repr, b)) and all(same(a[key], b[key]) for key in a)
    return all(map(same, a, b)) and len(a) == len(b) if isinstance(a, (list, tuple)) else a == b


@settings(deadline=None, max_examples=30)
@given(ENTRIES)
def test_an_entry_survives_json(entry):
    assert same(unpack(json.loads(json.dumps(pack(entry)))), entry)


@pytest.mark.skipif(importlib.util.find_spec("cellpylib") is not None, reason="cellpylib is installed")
@pytest.mark.skipif(importlib.util.find_spec("magiccube") is not None, reason="magiccube is installed")
def test_absent_packages_matter_only_to_families_that_use_them(tmp_path):
    """A package with the shape of reasoning-gym: one family uses cellpylib, which is absent, and one does not."""
    (tmp_path / "reasoning_gym").mkdir()
    (tmp_path / "reasoning_gym" / "__init__.py").write_text(
        "import random, cellpylib as cpl, numpy\nfrom magiccube.cube import Cube, Move\n"
        "class Own(Cube):\n    def __init__(self): pass\n"
        "def plain(): return random.Random(3).random()\n"
        "def evolve(moves: list[Move] | None = None): return cpl.evolve(Cube, 3)\n"
        "def attribute(): return Cube.parse('x')\n"
        "def derived(): return Own()\n"
    )
    code = """
import sys
from competency_gaps.items.generate import import_reasoning_gym
sys.path.insert(0, sys.argv[1])
gym = import_reasoning_gym()
assert 0 < gym.plain() < 1
for use in (gym.evolve, gym.attribute, gym.derived):
    try:
        use()
    except ModuleNotFoundError as error:
        print(error.name)
print(sorted(name for name in sys.modules if name.partition('.')[0] in ('cellpylib', 'magiccube')))
try:
    import cellpylib
except ModuleNotFoundError:
    print('absent again')
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["cellpylib", "magiccube", "magiccube", "[]", "absent again"]


def plain(text):
    return " ".join(text.split()).casefold()


def test_repeated_tasks_are_replaced_by_the_next_ones():
    family = {"family": "chain_sum", "difficulty": {"min_terms": 2, "max_terms": 2, "max_digits": 1}}
    drawn = load(**family, size=300, distinct=None).items
    firsts = {}
    for item in drawn:
        firsts.setdefault(plain(item.prompt), item)
    assert len(drawn) == 300 and 100 < len(firsts) < 190
    # A hundred distinct tasks are the first hundred of the longer draw, whose numbers they keep.
    some = load(**family, size=100)
    assert [(i.id, i.prompt) for i in some.items] == [(i.id, i.prompt) for i in list(firsts.values())[:100]]
    assert some.left_out == ()
    # There are 200 sums and differences of two digits: some more than half as many cannot be had.
    benchmark = load(**family, size=250)
    made = {plain(item.prompt) for item in benchmark.items}
    assert len(made) == len(benchmark.items) <= 200
    (short,) = benchmark.left_out
    assert short.reason == Reason(
        "too_few_tasks",
        f"the family has only {plural(len(made), 'distinct task')} at this difficulty: "
        f"{250 - len(made):,} of the 250 asked for could not be made",
        (len(made), 250 - len(made), 250),
    )


@pytest.mark.parametrize("family", ["list_functions", "word_ladder"])
def test_every_process_makes_the_same_tasks(family, monkeypatch):
    """Families that draw from global random numbers, or walk over sets: a seed alone does not fix them."""

    def made_under(seed):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        return load(family, seed=3, size=40).content_hash()

    assert made_under("1") == made_under("2")
