"""Exemplars equal a brute-force pass over dense latents."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from competency_gaps.concepts import collect
from competency_gaps.concepts.collect import ExemplarSettings, collect_exemplars
from competency_gaps.concepts.directions import final_gain, logit_lens
from competency_gaps.concepts.exemplars import Exemplars, choose_spread
from competency_gaps.concepts.windows import CONCEPT_WINDOW, WINDOW, find_negatives
from competency_gaps.items.config import SAEConfig
from competency_gaps.model.hooks import read_hook, resolve_hook
from competency_gaps.sae.load import LoadedPair, load_sae
from competency_gaps.sae.texts import cut_pieces
from competency_gaps.util.progress import Progress
from core_helpers import loaded

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


def collected(lm, sae, folder, progress=None, **settings):
    hook = resolve_hook(lm.model, sae.hook_name)
    options = ExemplarSettings(**{**SETTINGS.__dict__, **settings})
    pair = LoadedPair(lm, sae, hook, None)
    collect_exemplars(pair, pieces(lm), folder, options, progress or Progress(quiet=True))
    return Exemplars(folder)


@pytest.fixture(scope="module")
def stored(lm, sae, tmp_path_factory):
    return collected(lm, sae, tmp_path_factory.mktemp("dictionary"))


def dense(lm, sae):
    """Per piece: its counted tokens, and dense latents."""
    hook = resolve_hook(lm.model, sae.hook_name)
    for piece in pieces(lm):
        yield piece.ids[1:], sae.encode(read_hook(lm, hook, [piece.ids])[0, 1:].to(sae.sae.dtype)).numpy()


@pytest.fixture(scope="module")
def truth(lm, sae):
    """Concept -> strongest window of each text: (value, tokens, activations)."""
    best: dict[int, list] = {}
    for ids, latents in dense(lm, sae):
        windows = [slice(start, start + WINDOW) for start in range(0, len(ids), WINDOW)]
        for concept in np.flatnonzero(latents.max(axis=0) > 0).tolist():
            place = max(windows, key=lambda window: (latents[window, concept].max(), -window.start))
            row = (float(latents[place, concept].max()), ids[place].tolist(), latents[place, concept])
            best.setdefault(concept, []).append(row)
    return best


def test_top_windows_are_those_of_a_brute_force_pass(stored, truth):
    assert stored.concepts.tolist() == sorted(truth) and len(truth) > 20
    tokens = dict(stored.windows.select("window", "tokens").iter_rows())
    for concept, rows in truth.items():
        wanted = sorted(rows, key=lambda row: -row[0])
        top = stored.of(concept, "top")
        assert [one.value for one in top] == pytest.approx([row[0] for row in wanted[:4]], rel=2e-3, abs=1e-4)
        known = {(tuple(row[1])): row for row in wanted}
        for one in stored.of(concept, "top", "spread"):
            value, _, activations = known[tuple(tokens[one.window])]
            assert one.value == pytest.approx(value, rel=2e-3, abs=1e-4)
            assert one.activations == pytest.approx(activations, abs=2e-3 * float(activations.max()))


def test_spread_reaches_over_the_range_and_repeats_no_top(stored, truth):
    wide = [concept for concept, rows in truth.items() if len(rows) >= 20]
    lowest = []
    for concept in wide:
        top, spread = stored.of(concept, "top"), stored.of(concept, "spread")
        assert not {one.window for one in top} & {one.window for one in spread}
        values = np.asarray([row[0] for row in truth[concept]])
        lowest.append((values <= min(one.value for one in spread)).mean())
        assert [one.value for one in spread] == sorted((one.value for one in spread), reverse=True)
    # The least of 3 evenly spaced of 6 random windows lies at about 2/7.
    assert len(wide) > 10 and 0.15 < np.mean(lowest) < 0.45


def test_negatives_are_silent(stored, lm, sae):
    by_tokens = {}
    for ids, latents in dense(lm, sae):
        for start in range(0, len(ids), WINDOW):
            by_tokens[tuple(ids[start : start + WINDOW].tolist())] = latents[start : start + WINDOW].max(axis=0)
    tokens = dict(stored.windows.select("window", "tokens").iter_rows())
    for concept in stored.concepts.tolist():
        for one in stored.of(concept, "negative"):
            assert by_tokens[tuple(tokens[one.window])][concept] == 0 and not one.activations.any()


def brute_negatives(windows, exemplars, peaks, silent, pool, embedding, count):
    """Cosines of a concept's negatives as documented, window by window in float64: token-sharers, then the others.

    ``windows``: token ids of each; ``exemplars``: its windows; ``peaks``: the token of highest activation in each.
    """
    counted = np.bincount([token for w in pool for token in windows[w]], minlength=len(embedding))
    weight = 1e-3 / (1e-3 + counted / counted.sum())

    def vector(window):
        return np.mean([weight[token] * embedding[token].astype(np.float64) for token in windows[window]], axis=0)

    def unit(x):
        return x / np.linalg.norm(x)

    mean = np.mean([vector(w) for w in pool], axis=0)
    centre = unit(np.mean([unit(vector(w) - mean) for w in exemplars], axis=0))
    cosine = {w: float(unit(vector(w) - mean) @ centre) for w in silent}
    ranked = sorted(set(peaks), key=lambda token: (-peaks.count(token), token))[:3]
    near = sorted(silent, key=lambda w: -cosine[w])
    same = [w for w in near if set(ranked) & set(windows[w])][: count // 2]
    others = [w for w in near if w not in same][: count - len(same)]
    return same, others, cosine


def test_negatives_share_peak_tokens_up_to_a_half():
    rng = np.random.default_rng(4)
    tokens = rng.integers(1, 900, (300, WINDOW)).astype(np.int32)
    tokens[np.arange(300) % 9 == 0, 25:] = -1
    embedding = rng.standard_normal((100_000, 12)).astype(np.float32)
    rows = 12
    concept = np.repeat(np.arange(5, dtype=np.int32), rows)
    window = np.concatenate([rng.choice(300, rows, replace=False) for _ in range(5)])
    shape = rng.random((len(concept), WINDOW)).astype(np.float16)
    shape[:, 25:] = 0
    one = np.ones(len(concept), np.float32)
    exemplars = np.rec.fromarrays((concept, window, one, shape), dtype=CONCEPT_WINDOW)
    drawn = np.sort(rng.choice(300, 200, replace=False))
    active = rng.random((200, 5)) * (rng.random((200, 5)) < 0.4)
    active[:, 4] = np.arange(200) > 3  # silent in 4 windows only
    asked = []

    def rows_of(ids):
        asked.append(ids)
        return embedding[ids]

    pool = drawn, sp.csr_array(active > 0)
    negatives = find_negatives(exemplars, pool, tokens, rows_of, 10)
    used = tokens[np.union1d(drawn, window)]
    assert [ids.tolist() for ids in asked] == [np.unique(used[used >= 0]).tolist()], "only tokens that occur, once"
    windows = {i: row[row >= 0].tolist() for i, row in enumerate(tokens)}
    counts, further = [], 0
    for i in range(5):
        mine = concept == i
        peaks = [int(tokens[w, s.argmax()]) for w, s in zip(window[mine], shape[mine], strict=True)]
        silent = drawn[active[:, i] == 0].tolist()
        same, others, cosine = brute_negatives(
            windows, window[mine].tolist(), peaks, silent, drawn.tolist(), embedding, 10
        )
        got = negatives["window"][negatives["concept"] == i].tolist()
        assert got == same + others
        assert negatives["value"][negatives["concept"] == i] == pytest.approx([cosine[w] for w in got], abs=2e-5)
        counts.append((len(same), len(got)))
        further += sum(cosine[w] < cosine[o] for w in same for o in others)
    assert all(total == min(10, 4 if i == 4 else 10) for i, (_, total) in enumerate(counts))
    assert all(0 < same <= 5 for same, _ in counts[:4]) and further, "sharers that are not among the nearest come in"


def test_windows_hold_their_text_token_by_token(stored, lm):
    for tokens, text, ends in stored.windows.select("tokens", "text", "ends").iter_rows():
        assert text == lm.tokenizer.decode(tokens) and ends[-1] == len(text) and ends == sorted(ends)
        assert len(ends) == len(tokens)


def test_characters_of_several_tokens_are_kept_whole(lm, sae, tmp_path):
    hook = resolve_hook(lm.model, sae.hook_name)
    texts = list(cut_pieces(["start 🦊 and 漢字 and ünï " * 6] * 2, lm.tokenizer, context=90, bos_id=None))
    collect_exemplars(LoadedPair(lm, sae, hook, None), texts, tmp_path, SETTINGS, Progress(quiet=True))
    exemplars = Exemplars(tmp_path)
    one = exemplars.of(int(exemplars.concepts[0]))[0]
    assert "".join(one.tokens()) == one.text and "🦊" in exemplars.windows["text"].str.join("")[0]


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


@pytest.mark.parametrize(("tokens", "over"), [(1, 4), (40, 1), (41, 4), (100, 16)])
def test_of_averages_only_stretches_inside_a_window_count(tokens, over):
    """Token by token: every token that is averaged lies in the window that is shown."""
    counted = collect._inside(tokens, over)
    for token in range(tokens):
        start = max(0, min(token - over // 2, tokens - over))
        shown = {place // WINDOW for place in range(start, min(start + over, tokens))}
        assert counted[token] == (shown == {token // WINDOW}), token
    assert counted.any()


def test_spread_takes_evenly_spaced_ranks():
    n = 23
    values = np.random.default_rng(0).permutation(n).astype(np.float32)
    sample = np.zeros(n, CONCEPT_WINDOW)
    sample["window"], sample["value"] = np.arange(n), values
    chosen = choose_spread(sample, 5)["value"].tolist()
    assert chosen == sorted(chosen, reverse=True) and len(chosen) == 5 and chosen[0] == n - 1
    assert np.diff(chosen).tolist() == pytest.approx([-n / 5] * 4, abs=1)
    assert len(choose_spread(sample, 50)) == n
