"""Items of benchmarks and their parts; where they come from; which repeat each other; what a configuration may say."""
