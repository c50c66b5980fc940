"""Labels of concepts from elsewhere: Neuronpedia, delphi, JSON and tables."""

from competency_gaps.dictionary.imports.detect import FORMATS, import_labels
from competency_gaps.dictionary.imports.result import ImportedLabels, LeftOut

__all__ = ["FORMATS", "ImportedLabels", "LeftOut", "import_labels"]
