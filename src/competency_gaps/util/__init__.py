"""Files, text, errors, progress and locks: nothing that knows what an evaluation is."""
