"""Exemplars equal a brute-force pass over dense latents, in both rankings; killed and resumed they are the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import torch

from competency_gaps.config import SAEConfig
from competency_gaps.dictionary.exemplars import Exemplars, ExemplarSettings, collect, collect_exemplars
from competency_gaps.dictionary.exemplars.logits import final_gain, logit_lens
from competency_gaps.dictionary.exemplars.store import EXEMPLARS, POOL, WINDOWS, read_pool
from competency_gaps.dictionary.exemplars.windows import WINDOW, error_rise
from competency_gaps.errors import UserError
from competency_gaps.model.forward import read_hook
from competency_gaps.model.hooks import resolve_hook
from competency_gaps.progress import Progress
from competency_gaps.sae import load_sae
from competency_gaps.sae.training.texts import cut_pieces
from core_helpers import loaded
from sae_helpers import INFERENCE, build

TEXTS = [
    "".join(f"Once {n} foxes ran {n * 7 + k} miles to sea {k}; they saw {n + k} ships. " for k in range(1 + n % 4))
    for n in range(40)
]
SETTINGS = ExemplarSettings(tokens=100_000, top=4, spread=3, negatives=3, pool=60)


@pytest.fixture(scope="module")
def lm(model_folder):
    return loaded(model_folder("llama"))


@pytest.fixture(scope="module")
def sae(lm, sae_folder):
    return load_sae(SAEConfig(folder=sae_folder), "cpu")


def pieces(lm):
    return list(cut_pieces(TEXTS, lm.tokenizer, context=90, bos_id=None))


def collected(lm, sae, folder, **settings):
    hook = resolve_hook(lm.model, sae.hook_name)
    options = ExemplarSettings(**{**SETTINGS.__dict__, **settings})
    collect_exemplars(lm, hook, sae, pieces(lm), folder, options, {}, Progress(quiet=True))
    return Exemplars(folder)


@pytest.fixture(scope="module")
def found(lm, sae, tmp_path_factory):
    return collected(lm, sae, tmp_path_factory.mktemp("dictionary"))


def dense(lm, sae):
    """Per piece: its counted tokens, dense latents, and what reconstruction loses without each concept."""
    hook = resolve_hook(lm.model, sae.hook_name)
    for piece in pieces(lm):
        x = read_hook(lm, hook, [piece.ids])[0, 1:].to(sae.sae.dtype)
        latents = sae.encode(x)
        rebuilt = sae.sae.decode(latents)
        rise = torch.zeros_like(latents)
        for concept in latents.sum(dim=0).nonzero().flatten().tolist():
            without = latents.clone()
            without[:, concept] = 0
            lost = (x - sae.sae.decode(without)).pow(2).sum(dim=1) - (x - rebuilt).pow(2).sum(dim=1)
            rise[:, concept] = lost
        yield piece.ids[1:], latents.numpy(), rise.numpy()


@pytest.fixture(scope="module")
def truth(lm, sae):
    """(concept, ranking) -> best window of each text: (value, tokens, activations)."""
    best: dict[tuple[int, str], list] = {}
    for ids, latents, rise in dense(lm, sae):
        windows = [slice(start, start + WINDOW) for start in range(0, len(ids), WINDOW)]
        for concept in np.flatnonzero(latents.max(axis=0) > 0).tolist():
            for ranking in ("activation", "reconstruction"):
                values = [
                    latents[w, concept].max()
                    if ranking == "activation"
                    else np.where(latents[w, concept] > 0, rise[w, concept], 0).sum()
                    for w in windows
                ]
                active = [latents[w, concept].max() > 0 for w in windows]
                chosen = max((i for i, on in enumerate(active) if on), key=lambda i: (values[i], -i))
                if values[chosen] > 0:
                    place = windows[chosen]
                    row = (float(values[chosen]), ids[place].tolist(), latents[place, concept])
                    best.setdefault((concept, ranking), []).append(row)
    return best


def test_first_tokens_do_not_count_with_and_without_a_start_marker(lm):
    plain = next(cut_pieces(["one two three"], lm.tokenizer, context=90, bos_id=None))
    marked = next(cut_pieces(["one two three"], lm.tokenizer, context=90, bos_id=0))
    assert collect._counted(plain).tolist() == [False] + [True] * (len(plain.ids) - 1)
    assert marked.bos[0] and collect._counted(marked).tolist() == [False, False] + [True] * (len(marked.ids) - 2)


def check_top(exemplars: Exemplars, truth, ranking: str) -> None:
    concepts = sorted(concept for concept, kind in truth if kind == ranking)
    assert exemplars.concepts.tolist() == concepts and len(concepts) > 20
    tokens = dict(exemplars.windows.select("window", "tokens").iter_rows())
    for concept in concepts:
        wanted = sorted(truth[concept, ranking], key=lambda row: -row[0])
        top = exemplars.of(concept, "top")
        assert [one.value for one in top] == pytest.approx([row[0] for row in wanted[:4]], rel=2e-3, abs=1e-4)
        known = {(tuple(row[1])): row for row in wanted}
        for one in exemplars.of(concept, "top", "spread"):
            value, _, activations = known[tuple(tokens[one.window])]
            assert one.value == pytest.approx(value, rel=2e-3, abs=1e-4)
            assert one.activations == pytest.approx(activations, abs=2e-3 * float(activations.max()))


def test_top_windows_are_those_of_a_brute_force_pass(found, truth):
    check_top(found, truth, "activation")


def test_reconstruction_ranking_is_the_error_without_the_concept(lm, sae, truth, tmp_path):
    check_top(collected(lm, sae, tmp_path, ranking="reconstruction"), truth, "reconstruction")


def test_spread_reaches_over_the_range_and_repeats_no_top(found, truth):
    wide = [c for c, kind in truth if kind == "activation" and len(truth[c, kind]) >= 20]
    lowest = []
    for concept in wide:
        top, spread = found.of(concept, "top"), found.of(concept, "spread")
        assert not {one.window for one in top} & {one.window for one in spread}
        values = np.asarray([row[0] for row in truth[concept, "activation"]])
        lowest.append((values <= min(one.value for one in spread)).mean())
        assert [one.value for one in spread] == sorted((one.value for one in spread), reverse=True)
    # The least of 3 evenly spaced of 6 random windows lies at about 2/7.
    assert len(wide) > 10 and 0.15 < np.mean(lowest) < 0.45


def test_negatives_are_silent_and_near(found, lm, sae, truth):
    place, peaks = read_pool(found.folder)
    assert len(place) == 60 or len(place) == found.windows.height
    active = dict(zip(place.tolist(), range(len(place)), strict=True))
    for concept in found.concepts.tolist():
        for one in found.of(concept, "negative"):
            assert peaks[[active[one.window]], [concept]] == 0 and not one.activations.any()
    by_tokens = {}
    for ids, latents, _ in dense(lm, sae):
        for start in range(0, len(ids), WINDOW):
            by_tokens[tuple(ids[start : start + WINDOW].tolist())] = latents[start : start + WINDOW].max(axis=0)
    tokens = dict(found.windows.select("window", "tokens").iter_rows())
    for window, row in active.items():
        known = by_tokens[tuple(tokens[window])]
        assert peaks[[row]].toarray()[0] == pytest.approx(known, rel=1e-3, abs=1e-4)


def test_windows_hold_their_text_token_by_token(found, lm):
    for tokens, text, ends in found.windows.select("tokens", "text", "ends").iter_rows():
        assert text == lm.tokenizer.decode(tokens) and ends[-1] == len(text) and ends == sorted(ends)
        assert len(ends) == len(tokens)


def test_characters_of_several_tokens_are_kept_whole(lm, sae, tmp_path):
    hook = resolve_hook(lm.model, sae.hook_name)
    texts = list(cut_pieces(["start 🦊 and 漢字 and ünï " * 6] * 2, lm.tokenizer, context=90, bos_id=None))
    collect_exemplars(lm, hook, sae, texts, tmp_path, SETTINGS, {}, Progress(quiet=True))
    exemplars = Exemplars(tmp_path)
    one = exemplars.of(int(exemplars.concepts[0]))[0]
    assert "".join(one.tokens()) == one.text and "🦊" in exemplars.windows["text"].str.join("")[0]


@pytest.mark.parametrize("architecture", sorted(set(INFERENCE) - {a for a in INFERENCE if "transcoder" in a}))
def test_error_rise_of_every_architecture(architecture, tmp_path):
    sae = load_sae(SAEConfig(folder=build(architecture, tmp_path / architecture)), "cpu")
    check_rise(sae)


@pytest.mark.parametrize("normalisation", ["layer_norm", "constant_norm_rescale"])
def test_error_rise_under_normalised_activations(normalisation, tmp_path):
    folder = build("standard", tmp_path / "sae", normalize_activations=normalisation)
    check_rise(load_sae(SAEConfig(folder=folder), "cpu"))


def check_rise(sae) -> None:
    x = torch.randn(7, 32, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        latents = sae.encode(x)
        token, concept = latents.nonzero(as_tuple=True)
        rise = error_rise(sae, x, latents, token, concept)
        latents = sae.encode(x)
        before = (x - sae.sae.decode(latents)).pow(2).sum(dim=1)
        for i in range(0, len(token), 5):
            without = sae.encode(x).clone()
            without[token[i], concept[i]] = 0
            after = (x - sae.sae.decode(without)).pow(2).sum(dim=1)
            assert rise[i] == pytest.approx(float((after - before)[token[i]]), rel=1e-3, abs=1e-3)


def test_logit_lens_by_hand(lm, sae):
    table = logit_lens(lm, sae, count=3)
    head = lm.model.get_output_embeddings().weight.float() * final_gain(lm)
    for concept in (0, 7):
        direction = sae.sae.W_dec[concept].float()
        logits = head @ (direction / direction.norm())
        logits = logits[: len(lm.tokenizer)] - logits[: len(lm.tokenizer)].mean()
        order = logits.argsort(descending=True)
        row = table.row(concept, named=True)
        assert row["promoted"] == [lm.tokenizer.decode([int(i)]) for i in order[:3]]
        assert row["suppressed_logits"] == pytest.approx(logits[order.flip(0)[:3]].tolist(), abs=1e-4)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from competency_gaps.dictionary.exemplars import collect, state
from competency_gaps.config import SAEConfig
from competency_gaps.sae import load_sae
from competency_gaps.model.hooks import resolve_hook
from competency_gaps.progress import Progress
from core_helpers import loaded
import test_exemplars as t
collect.CHUNK, collect.SAVE_SECONDS = 8, 0.0
real, left = state.Gathered.add_tokens, int(sys.argv[2])
def add(self, tokens):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, tokens)
state.Gathered.add_tokens = add
lm, sae = loaded(Path({model!r})), load_sae(SAEConfig(folder={sae!r}), "cpu")
t.collected(lm, sae, Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_killed_pass_goes_on_to_the_same_files(lm, sae, found, tmp_path, model_folder, sae_folder):
    from pathlib import Path

    tests = str(Path(__file__).parent)
    code = KILLED.format(tests=tests, model=str(model_folder("llama")), sae=str(sae_folder))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, str(Path(tests).parent)])}
    out = tmp_path / "dictionary"
    out.mkdir()
    for left in (3, 2, 3, 100):
        done = subprocess.run([sys.executable, "-c", code, str(out), str(left)], env=env, capture_output=True)
        assert done.returncode == (-signal.SIGKILL if left < 100 else 0), done.stderr[-2000:]
    for name in (EXEMPLARS, WINDOWS):
        a, b = pl.read_parquet(out / name), pl.read_parquet(found.folder / name)
        # Batches of other sizes move activations by rounding only.
        assert a.drop("value", "activations", strict=False).equals(b.drop("value", "activations", strict=False))
    assert (out / POOL).is_file() and not (out / ".exemplars").exists()


def test_another_pass_in_the_folder_is_refused(lm, sae, tmp_path):
    (tmp_path / ".exemplars").mkdir()
    (tmp_path / ".exemplars" / "plan.json").write_text('{"tokens": 5}')
    with pytest.raises(UserError, match=r"differs in .*tokens"):
        collected(lm, sae, tmp_path)


def test_empty_texts_say_so(lm, sae, tmp_path):
    hook = resolve_hook(lm.model, sae.hook_name)
    with pytest.raises(UserError, match="hold nothing to read"):
        collect_exemplars(lm, hook, sae, [], tmp_path, SETTINGS, {}, Progress(quiet=True))
