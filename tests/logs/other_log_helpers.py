"""Logs of HELM, lighteval and OpenCompass, by hand in the forms that these tools write."""

from __future__ import annotations

import json

import polars as pl

QUESTION = "Which animal jumps over the dog?"
PROMPT = f"Question: Which animal barks?\nAnswer: dog\n\nQuestion: {QUESTION}\nA. fox\nB. dog\nAnswer:"


def helm_request(name, *, trial=0, text=QUESTION, **more):
    references = [
        {"output": {"text": "fox"}, "tags": ["correct"]},
        {"output": {"text": "dog"}, "tags": []},
    ]
    instance = {"id": name, "input": {"text": text}, "references": references, "split": "test"}
    return {
        "instance": {**instance, **more.pop("instance", {})},
        "train_trial_index": trial,
        "output_mapping": {"A": "fox", "B": "dog"},
        "request": {"model": "openai/gpt2", "prompt": PROMPT.replace(QUESTION, text)},
        "result": {"success": True, "completions": [{"text": " A", "logprob": -1.0}]},
        **more,
    }


def helm_stats(name, value, *, trial=0, perturbation=None, metric="exact_match"):
    stats = [{"name": {"name": metric, "split": "test"}, "count": 1, "sum": value, "mean": value}]
    entry = {"instance_id": name, "train_trial_index": trial, "stats": stats}
    return {**entry, **({"perturbation": perturbation} if perturbation else {})}


def helm(folder, requests, stats, method="multiple_choice_joint"):
    run = folder / "runs" / "suite" / "quiz:subject=animals,model=openai_gpt2"
    run.mkdir(parents=True)
    adapter = {"method": method, "model": "openai/gpt2"}
    (run / "run_spec.json").write_text(json.dumps({"name": run.name, "adapter_spec": adapter}))
    (run / "scenario_state.json").write_text(json.dumps({"adapter_spec": adapter, "request_states": requests}))
    (run / "per_instance_stats.json").write_text(json.dumps(stats))
    return folder


def lighteval(folder, rows, task="lighteval|quiz|1", stamp="2026-11-24T10-00-00.000001"):
    place = folder / "details" / "org" / "name" / stamp
    place.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows).write_parquet(place / f"details_{task}_{stamp}.parquet")
    return folder


def old_row(acc=1.0):
    return {
        "example": f"Question: {QUESTION}",
        "full_prompt": PROMPT,
        "predictions": [-4.0, -2.0],
        "choices": [" fox", " dog"],
        "gold_index": [0],
        "metrics": {"em_tokens": 30.0, "acc": acc},
    }


def new_row(acc=1.0, mark="__"):
    doc = {"query": QUESTION, "choices": ["fox", "dog"], "gold_index": 0, "id": "7"}
    answer = {"input": PROMPT, "text": ["the fox"], "logprobs": []}
    return {f"{mark}doc{mark}": doc, f"{mark}model_response{mark}": answer, f"{mark}metric{mark}": {"acc": acc}}


def opencompass(folder, predictions, results):
    for kind, content in (("predictions", predictions), ("results", results)):
        file = folder / "20261124_100000" / kind / "name-1b" / "quiz.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(content))
    return folder
