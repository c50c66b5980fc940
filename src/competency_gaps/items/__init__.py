"""What benchmarks, scoring, model, logs and tasks all speak: items, requests, outputs and scores."""
