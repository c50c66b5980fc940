"""Items, requests, outputs and scores: the types that benchmarks, scoring, model and logs share."""
