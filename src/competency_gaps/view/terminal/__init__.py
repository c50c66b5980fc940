"""A run for people at a terminal: its answer, lists of concepts, one concept, models and comparisons."""
