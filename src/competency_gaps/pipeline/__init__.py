"""What fills a run folder: ``run.py`` tells the story, from benchmarks to tables; the other files are its steps."""
