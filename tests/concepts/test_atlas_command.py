"""``cgaps concepts atlas``: a map from a run's items, its regions named without and with a language model."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from competency_gaps.concepts import atlas
from competency_gaps.concepts.atlas import read_atlas
from competency_gaps.concepts.folder import write_dictionary
from competency_gaps.runs.open import open_folder
from core_helpers import command
from fake_endpoint import question_of, serve


def letters(texts, *_):
    """Unit vectors by the letters of texts, which need no embedding model."""
    counts = np.array([[text.count(letter) + 0.1 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts])
    return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def folders(run, tmp_path, monkeypatch):
    """A dictionary without labels, and a copy of a run, which is large enough for a small map."""
    for name, value in {"LEVEL_SIZES": (2, 4, 8), "MIN_ACTIVE_ITEMS": 2, "SINGULAR_VECTORS": 8}.items():
        monkeypatch.setattr(atlas, name, value)
    monkeypatch.setattr("competency_gaps.api.dictionary.embed_texts", letters)
    write_dictionary(tmp_path / "dictionary", run.manifest["sae"])
    return str(tmp_path / "dictionary"), str(run.path)


def printed(*arguments: str) -> dict:
    done = command("concepts", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_run_lies_on_the_map_that_it_made(folders, tiny_run, tmp_path):
    made = printed("atlas", *folders)
    kept = tiny_run.items["excluded"].is_null()
    assert made["items"] == kept.sum() and made["benchmarks"] == 2 and made["kinds"] == {"words": sum(made["regions"])}
    printed("name", *reversed(folders))
    run = open_folder(tmp_path / "run")
    assert run.regions["name"].is_unique().all() and len(run.regions) == sum(made["regions"])
    lies = Counter(zip(run.items["benchmark"].filter(kept), run.item_regions["region"].filter(kept), strict=True))
    assert lies == {(name, region): count for name, region, count in run.region_counts.iter_rows()}
    assert run.item_regions["unlike"].sum() <= 0.03 * kept.sum()
    assert run.manifest["dictionary"]["regions"] == made["regions"][-1] and run.manifest["slices"]["regions"]["slices"]


def test_a_language_model_names_regions_and_is_paid_once(folders, tiny_run, tmp_path):
    texts, asked = set(tiny_run.items["prompt"]), list[str]()

    def plan(body, attempt):
        content = json.loads(question_of(body))
        assert set(content["typical"] + content["borderline"]) <= texts and 0 < len(content["typical"]) <= 12
        assert not set(content["typical"]) & set(content["borderline"]) and len(content["borderline"]) <= 4
        if (question := question_of(body)) not in asked:
            asked.append(question)
        number = asked.index(question)
        names = {0: "Sums", 1: "sums.", 2: "far too many words for any name"}
        answer = json.dumps({"name": names.get(number, f"Subject number {number}")})
        return ("message", {"role": "assistant", "content": answer}, "stop", None)

    llm = tmp_path / "llm.json"
    with serve(plan) as server:
        llm.write_text(json.dumps({"model": "m", "base_url": server.url}))
        made = printed("atlas", *folders, "--llm", str(llm))
        regions = read_atlas(tmp_path / "dictionary", tiny_run.width).regions
        assert made["kinds"] == {"words": 2, "written": len(asked) - 2} and len(asked) == sum(made["regions"])
        names = regions["name"].str.to_lowercase().to_list()  # requests go out together: either "sums" may be first
        assert len(set(names)) == len(names) and "sums" in names
        again = printed("atlas", *folders, "--llm", str(llm))
        assert again == made and sum(server.paid.values()) == len(asked) + 1, "only what cannot be used is paid again"
    assert regions.equals(read_atlas(tmp_path / "dictionary", tiny_run.width).regions)
