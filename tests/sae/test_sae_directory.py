"""SAELens' directory as this package has it, against SAELens itself."""

from __future__ import annotations

import re
import runpy
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest

from competency_gaps.sae import find
from competency_gaps.sae.find import _ALIASES, SaeEntry, check_release, find_saes, read_model_name, relation
from competency_gaps.util.errors import UserError

PLACE = {"attn.hook_z": "attn_z", "hook_mlp_in": "transcoder", "ln2.hook_normalized": "transcoder"}


@pytest.fixture(scope="module")
def plain():
    """The directory as SAELens gives it."""
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    return get_pretrained_saes_directory()


@pytest.fixture(scope="module")
def ours():
    """The same as this package has it: releases of the installed version, where that is another."""
    held: dict[str, list[SaeEntry]] = {}
    for entry in find._directory()[1]:
        held.setdefault(entry.release, []).append(entry)
    return held


def test_the_table_is_made_from_the_installed_version():
    saelens, held = find._directory()
    recipe = runpy.run_path(str(Path(__file__).parents[2] / "recipes" / "sae_directory.py"))
    known = {(sae.release, sae_id(sae), sae.model, sae.layer, sae.site, sae.width, sae.l0, sae.labels) for sae in held}
    listed = set(recipe["saes"]())
    if saelens == version("sae-lens"):
        assert known == listed
    assert len({sae[:2] for sae in known & listed}) > 0.95 * len(known)


def sae_id(entry) -> str:
    """Its id within its release."""
    return entry.name.removeprefix(f"{entry.release}/")


def test_every_sae_of_saelens_is_read(plain, ours):
    if find._directory()[0] != version("sae-lens"):
        pytest.skip("another version of SAELens is installed")
    assert {name: sorted(sae_id(entry) for entry in entries) for name, entries in ours.items()} == {
        name: sorted(release.saes_map) for name, release in plain.items()
    }
    for name, entries in ours.items():
        for entry in entries:
            key = sae_id(entry)
            assert entry.labels == plain[name].neuronpedia_id[key]
            assert entry.l0 == plain[name].expected_l0[key] or plain[name].expected_l0[key] == 0


def test_layer_place_and_model_are_what_saelens_loaders_say(plain, ours, monkeypatch):
    """SAELens' own loaders say them for the forms that need no file from the hub: nine tenths of the directory."""
    from huggingface_hub.errors import EntryNotFoundError
    from sae_lens.loading import pretrained_sae_loaders as loaders

    def no_file(*args, **kwargs):
        raise EntryNotFoundError.__new__(EntryNotFoundError)

    monkeypatch.setattr(loaders, "hf_hub_download", no_file)
    monkeypatch.setattr(loaders, "get_safetensors_tensor_shapes", lambda *a: {"w_enc": [1, 2], "w_dec": [2, 1]})
    checked = Counter()
    for name, entries in ours.items():
        form = plain[name].conversion_func
        for entry in entries if form in ("gemma_2", "gemma_3", "gemma_2_transcoder", "qwen_scope", "goodfire") else []:
            config = loaders.load_sae_config_from_huggingface(name, sae_id(entry))
            facts = config.get("metadata", config)
            hook = re.fullmatch(r"blocks\.(\d+)\.(.+)", facts["hook_name"])
            read = (int(hook[1]), PLACE.get(hook[2], hook[2].removeprefix("hook_"))) if hook else (-1, "embedding")
            assert (entry.layer, entry.site) == read, entry.name
            assert entry.model == facts["model_name"], entry.name
            checked[form] += 1
    assert checked.total() > 12_000 and len(checked) == 5


def test_widths_are_those_that_are_written(ours):
    read = {e.name: e.width for entries in ours.values() for e in entries}
    known = {
        "gemma-scope-2b-pt-res/layer_5/width_1m/average_l0_114": "1m",
        "gpt2-small-resid-post-v5-128k/blocks.3.hook_resid_post": "128k",
        "gpt2-small-res-jb-feature-splitting/blocks.8.hook_resid_pre_768": "768",
        "llama_scope_lxr_8x/l19r_8x": "32k",
        "gemma-2b-res-jb/blocks.0.hook_resid_post": "16384",
        "pythia-70m-deduped-res-sm/blocks.0.hook_resid_post": None,
        "qwen-scope-3-8b-base-w64k-l50/layer21": "64k",
        "sae_bench_pythia70m_sweep_topk_ctx128_0730/blocks.3.hook_resid_post__trainer_0": "4k",
        "gemma-2-2b-res-matryoshka-dc/blocks.24.hook_resid_post": "32k",
    }
    assert {name: read[name] for name in known} == known


@pytest.mark.parametrize(
    ("model", "same", "related"),
    [
        ("gpt2", ["gpt2-small"], []),
        ("google/gemma-2-2b-it", [], ["gemma-2-2b"]),
        ("unsloth/Meta-Llama-3.1-8B-Instruct", ["meta-llama/Llama-3.1-8B-Instruct"], ["meta-llama/Llama-3.1-8B"]),
        ("Qwen/Qwen3-8B", ["qwen3-8b"], ["Qwen/Qwen3-8B-Base"]),
        ("mistralai/Mistral-7B-Instruct-v0.1", [], ["mistral-7b"]),
    ],
)
def test_a_models_saes_are_all_of_its_releases(model, same, related, plain):
    sae_list = find_saes(model)
    unread = ("clt", "temporal")
    for models, kinds in ((same, {"same"}), (related, {"base", "tuned"})):
        expected = {
            f"{name}/{key}"
            for name, release in plain.items()
            for key, path in release.saes_map.items()
            if release.model in models
            and not any(word in f"{name}/{key}/{path}" for word in unread)
            and "embedding" not in key
        }
        assert {sae.name for sae in sae_list.saes if sae.relation in kinds} == expected
    of_models = [plain[name] for name in plain if plain[name].model in same + related]
    assert len(sae_list.saes) + sum(sae_list.unread.values()) == sum(len(release.saes_map) for release in of_models)
    for sae in sae_list.saes:
        assert sae.labels == plain[sae.release].neuronpedia_id[sae_id(sae)]


def test_transformerlens_names(ours):
    """Every name of the directory that is no hub id means the model that TransformerLens means."""
    from transformer_lens.supported_models import MODEL_ALIASES

    official = {alias: name for name, aliases in MODEL_ALIASES.items() for alias in aliases}
    names = {e.model for entries in ours.values() for e in entries if "/" not in e.model}
    assert names >= set(_ALIASES)
    for name in names & set(official):
        assert relation(name, [official[name]]) == "same", (name, official[name])
    assert len(names & set(official)) > 8


@pytest.mark.parametrize(
    ("name", "core", "version"),
    [
        ("google/gemma-2-2b-it", "gemma-2-2b", "tuned"),
        ("google/gemma-3-4b-pt", "gemma-3-4b", "base"),
        ("embedded:smollm2-135m-instruct", "smollm2-135m", "tuned"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2-135m", "tuned"),
        ("models/SmolLM2-135M-Instruct.Q4_K_M.gguf", "smollm2-135m", "tuned"),
        ("/cache/models--google--gemma-2-2b/snapshots/0a1b", "gemma-2-2b", "plain"),
        ("runs/gemma-2-2b/checkpoint-500/", "gemma-2-2b", "plain"),
        ("unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit", "llama-3.1-8b", "tuned"),
        ("Qwen/Qwen3-8B-Base", "qwen3-8b", "base"),
    ],
)
def test_names_of_models(name, core, version):
    assert read_model_name(name)[:2] == (core, version)


def test_a_folder_goes_by_name_and_configuration(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    with pytest.raises(UserError, match="no SAE for the model"):
        find_saes(str(folder))
    (folder / "config.json").write_text('{"_name_or_path": "google/gemma-2-9b"}')
    assert {sae.model for sae in find_saes(str(folder)).saes} == {"gemma-2-9b", "gemma-2-9b-it"}
    (tmp_path / "gpt2").mkdir()
    assert find_saes(str(tmp_path / "gpt2")).saes == find_saes("gpt2").saes


def test_the_embedded_sae_is_listed():
    (sae,) = find_saes("HuggingFaceTB/SmolLM2-135M-Instruct").saes
    assert (sae.name, sae.release, sae.relation) == ("embedded:smollm2-135m-instruct-l15-8k", None, "same")
    assert (sae.layer, sae.site, sae.width, sae.labels) == (15, "resid_post", "8192", "package")
    assert find_saes("HuggingFaceTB/SmolLM2-135M").saes[0].relation == "tuned"


def test_unknown_releases_are_refused_unless_saelens_is_another(monkeypatch):
    monkeypatch.setattr(find, "versions", lambda: {"sae-lens": find._directory()[0]})
    check_release("gpt2-small-res-jb", "blocks.3.hook_resid_pre")
    check_release("somebody/saes", "x")
    with pytest.raises(UserError, match="Did you mean 'gpt2-small-res-jb'"):
        check_release("gpt2-small-res-j", "x")
    with pytest.raises(UserError, match=r"Did you mean 'blocks\.3\.hook_resid_pre'"):
        check_release("gpt2-small-res-jb", "blocks.3.hook_resid_pr")
    monkeypatch.setattr(find, "versions", lambda: {"sae-lens": "99"})
    check_release("a-newer-release", "x")


@pytest.mark.parametrize(
    ("model", "hub_id"),
    [
        ("gemma-2-2b", "google/gemma-2-2b"),
        ("gemma-2-2b-it", "google/gemma-2-2b-it"),
        ("qwen3-8b", "Qwen/Qwen3-8B"),
        ("llama-3.1-8b", "meta-llama/Llama-3.1-8B"),
        ("mirror/gemma-2-2b", "mirror/gemma-2-2b"),
    ],
)
def test_the_run_to_type_has_a_hub_id(model, hub_id):
    assert find_saes(model).hub_id() == hub_id


def test_every_model_of_the_directory_has_an_owner():
    assert all("/" in find._HUB.get(entry.model, entry.model) for entry in find._directory()[1])


def test_unknown_models_and_layers_are_refused_with_alternatives():
    with pytest.raises(UserError, match="Did you mean 'gemma-2-"):
        find_saes("google/gemma-2-3b")
    with pytest.raises(UserError, match=r"layer 12; choose one of the layers 0, 1, .*, 11\."):
        find_saes("gpt2", layer=12)
    assert find_saes("gemma-2-2b").unread["cross_layer"] == 26


def test_transcoders_are_proposed_where_there_is_nothing_else():
    assert find_saes("Qwen/Qwen3-4B").proposed().name == "mwhanna-qwen3-4b-transcoders/layer_21"
    assert find_saes("google/gemma-2-2b").proposed().site == "resid_post"


def test_one_sae_is_recommended_for_each_layer_and_place():
    for model in ("google/gemma-2-2b-it", "gpt2", "meta-llama/Llama-3.1-8B-Instruct", "google/gemma-3-1b-it"):
        saes = find_saes(model).saes
        groups = {(sae.model, sae.layer, sae.site) for sae in saes}
        recommended = [sae for sae in saes if sae.recommended]
        assert len(recommended) == len(groups) == len({(sae.model, sae.layer, sae.site) for sae in recommended})
        for sae in recommended:
            others = [
                other for other in saes if (other.model, other.layer, other.site) == (sae.model, sae.layer, sae.site)
            ]
            assert sae.labels or not any(other.labels for other in others)
            assert "_step_" not in sae.name or all("_step_" in other.name for other in others)
    gemma = [sae.name for sae in find_saes("google/gemma-2-2b").saes if sae.recommended and sae.site == "resid_post"]
    assert gemma == [f"gemma-scope-2b-pt-res-canonical/layer_{layer}/width_16k/canonical" for layer in range(26)]


def entry(name: str, **facts: object) -> SaeEntry:
    made = {"layer": 0, "site": "resid_post", "width": None, "l0": None, "labels": None, **facts}
    return SaeEntry(name, "r", "m", "same", **made)


@pytest.mark.parametrize(
    ("entries", "best"),
    [
        ([entry("a", l0=50.0), entry("b", labels="n/1")], "b"),
        ([entry("a_step_100", labels="n/1"), entry("b", labels="n/2")], "b"),
        ([entry("a", width="16k"), entry("b", width="16k"), entry("x/canonical")], "x/canonical"),
        ([entry("a", width="4k"), entry("b", width="16k"), entry("c", width="1m")], "b"),
        ([entry("a", width="16k"), entry("b", width="65536"), entry("c", width="65k", layer=1)], "b"),
        ([entry("a", l0=10.0), entry("b", l0=60.0), entry("c", l0=150.0)], "b"),
    ],
)
def test_which_is_recommended(entries, best):
    (first,) = [sae.name for sae in find._mark_recommended(entries) if sae.recommended and sae.layer == 0]
    assert first == best


def test_the_proposed_sae():
    assert find_saes("google/gemma-2-2b-it").proposed().name.startswith("gemma-scope-2b-pt-res-canonical/layer_15/")
    own = find_saes("meta-llama/Llama-3.1-8B-Instruct").proposed()
    assert own.relation == "same" and own.site == "resid_post" and own.labels
    assert find_saes("mistral-7b").proposed().site == "resid_pre"
    assert find_saes("gpt2", layer=3).proposed().layer == 3
