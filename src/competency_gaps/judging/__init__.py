"""What judges' verdicts come to: arithmetic without a model, a file or the network."""
