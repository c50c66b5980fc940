"""Labels of concepts from elsewhere: Neuronpedia, delphi, JSON and tables."""

from competency_gaps.dictionary.imports.detect import import_labels
from competency_gaps.dictionary.imports.result import ImportedLabels, Omission

__all__ = ["ImportedLabels", "Omission", "import_labels"]
