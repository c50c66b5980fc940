"""The stages of a run, from benchmarks to tables: each fills a part of the run folder."""
