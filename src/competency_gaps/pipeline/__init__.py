"""From benchmarks to a run folder: ``run.py`` has the whole job, top to bottom; the other files are its steps."""
