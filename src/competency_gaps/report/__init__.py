"""A run for people at a terminal: its answer, lists of concepts and themes, one concept, models and comparisons."""
