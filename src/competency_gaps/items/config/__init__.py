"""The configuration of a run, checked before anything is loaded.

The same models read a YAML file, ``--set`` overrides and keyword arguments. The error for an unknown key names the
nearest known one.
"""

from competency_gaps.items.config.benchmark import (
    BenchmarkConfig,
    FileSource,
    HubSource,
    LogSource,
    ObjectsSource,
    PluginSource,
    ReasoningGymSource,
    Source,
)
from competency_gaps.items.config.llm import LLMConfig
from competency_gaps.items.config.load import Config, as_dict, parse_config, read_yaml
from competency_gaps.items.config.model import DType, ModelConfig, SAEConfig, TrainingConfig, sae_place
from competency_gaps.items.config.run import (
    EvidenceConfig,
    GenerationConfig,
    ItemsConfig,
    MetricsConfig,
    Pooling,
    RayWorkers,
    RunConfig,
    ScoresConfig,
    SlicesConfig,
    Span,
)
