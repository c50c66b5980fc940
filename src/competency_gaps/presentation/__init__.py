"""What terminal, report, explorer and queries share: which concepts are listed, in which columns and words."""
