"""Labels of concepts from elsewhere: Neuronpedia, delphi, JSON and tables."""

from competency_gaps.dictionary.imports.detect import import_labels
from competency_gaps.dictionary.imports.result import ImportedLabels, LeftOut

__all__ = ["ImportedLabels", "LeftOut", "import_labels"]
