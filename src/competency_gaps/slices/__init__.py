"""Slices: a weight from 0 to 1 for each item, with a name and a provenance.

A provider makes the slices of one family: columns of the items, regions of the atlas, nodes of a tree of concept
profiles, clusters of sentence embeddings, concepts, features of the text, entries of a list, or skills that a language
model names.
"""

from competency_gaps.slices.family import CONCEPTS, MIN_ITEMS, Family, family_of
from competency_gaps.slices.store import read_slices
