"""What a manifest must hold for what reads it: a run may come from somebody else, checksum and all.

``docs/run-folder.md`` has all keys. Here are those that something reads; others may be there.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError, model_validator

from competency_gaps.checked import first_fault
from competency_gaps.config import EvidenceConfig, MetricsConfig
from competency_gaps.items.item import Reason
from competency_gaps.outcomes import Kind


def check_form(content: dict[str, Any]) -> None:
    """Raise ValueError if a manifest lacks something that is read, or holds something else in its place."""
    try:
        _Manifest.model_validate(content)
    except ValidationError as error:
        raise ValueError(first_fault(error)) from None


def _is_remark(value: dict[str, Any]) -> dict[str, Any]:
    try:
        remark = Reason.of(value)
        if (
            isinstance(remark.text, str)
            and isinstance(remark.code, str)
            and all(isinstance(number, (int, float)) for number in remark.numbers)
        ):
            return value
    except (KeyError, TypeError, AttributeError, OverflowError, ValueError) as error:
        raise ValueError("expected a reason") from error
    raise ValueError("expected a reason")


def _is_evidence(value: dict[str, Any]) -> dict[str, Any]:
    missing = [name for name in EvidenceConfig.model_fields if name not in value]
    if missing:
        raise ValueError(f"it has no {missing[0]}")
    try:
        EvidenceConfig.model_validate({name: value[name] for name in EvidenceConfig.model_fields})
        _Evidence.model_validate(value)
    except ValidationError as error:
        raise ValueError(first_fault(error)) from None
    return value


def _is_config(kind: type[BaseModel], value: dict[str, Any]) -> dict[str, Any]:
    try:
        kind.model_validate(value)
    except ValidationError as error:
        raise ValueError(first_fault(error)) from None
    return value


def _is_time(value: str) -> str:
    try:
        datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError("expected a date and time in ISO form") from error
    return value


def _is_finite(value: float) -> float:
    if not abs(value) < _LARGE:
        raise ValueError("it is not finite, or too large")
    return value


_LARGE = 1e300
"""Above all numbers of a manifest, which are multiplied by 100 and more when they are shown."""
_Remark = Annotated[dict[str, Any], AfterValidator(_is_remark)]
_Number = Annotated[float, AfterValidator(_is_finite)]
_Size = Annotated[int, Field(ge=0, lt=2**31)]
"""Of what there is an array of."""


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Model(_Form):
    name: str
    kind: str = Field(alias="class")
    layers: NonNegativeInt
    hidden_size: NonNegativeInt
    dtype: str
    weights_sha256: str
    content_sha256: str


class _Sae(_Form):
    name: str
    architecture: str
    d_in: NonNegativeInt
    d_sae: Annotated[_Size, Field(gt=0)]
    weights_sha256: str
    content_sha256: str


class _Hook(_Form):
    path: str
    side: str
    layer: int | None


class _Gate(_Form):
    tokens: NonNegativeInt | None = None
    l0: _Number | None = None
    explained_variance: _Number | None = None
    dead_share: _Number | None = None


class _Trend(_Form):
    covariate: str
    first: _Number
    last: _Number
    share: _Number
    p: _Number
    controlled: bool
    categories: Annotated[list[str], Field(min_length=2)] | None = None


class _Counts(_Form):
    tested: NonNegativeInt
    weak: NonNegativeInt
    strong: NonNegativeInt


class _BenchmarkCounts(_Counts):
    trends: list[_Trend] = []
    most_stand_out: bool = False
    shared_reason: str | None = None


class _Evidence(_Counts):
    benchmarks: dict[str, _BenchmarkCounts] = {}


class _LeftOut(_Form):
    where: str | None
    reason: _Remark


class _Unscored(_Form):
    reason: _Remark
    count: NonNegativeInt


class _Source(_Form):
    warnings: list[_Remark]
    unscored_because: list[_Unscored]


class _Bias(_Form):
    value: _Number


class _ByPlace(_Form):
    both_games: NonNegativeInt
    agreement: _Number | None
    position_bias: _Bias


class _Figures(_Form):
    """Besides these, a policy's figures are its own."""

    policy: str
    summary: list[_Remark]
    by_place: bool = False

    @model_validator(mode="after")
    def _holds_places(self) -> _Figures:
        try:
            if self.by_place:
                _ByPlace.model_validate(self.model_extra)
        except ValidationError as error:
            raise ValueError(first_fault(error)) from None
        return self


class _Benchmark(_Form):
    name: str
    items: _Size
    shards: list[str]
    content_sha256: str
    policy: str | None
    scope: str | None = None
    generated: bool = False
    left_out: list[_LeftOut]
    source: list[_Source] | None = None
    figures: dict[str, _Figures] | None = None


class _Judged(_Form):
    items: NonNegativeInt
    scored: NonNegativeInt
    failed: NonNegativeInt
    unasked: NonNegativeInt


class _Judging(_Form):
    judge: str | None
    classifiers: list[str]
    benchmarks: dict[str, _Judged]


class _Outcome(_Form):
    kind: Annotated[str, AfterValidator(lambda kind: _among(kind, get_args(Kind)))]
    model: str
    against: list[str]
    limits: Annotated[list[_Number], Field(min_length=2, max_length=2)]
    all_kinds: bool = False
    remarks: list[_Remark]
    run: str | None = None


def _among(value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"expected one of {', '.join(known)}")
    return value


class _Dictionary(_Form):
    name: str
    labelled: NonNegativeInt
    kinds: dict[str, NonNegativeInt]
    themes: NonNegativeInt | None


class _Reference(_Form):
    name: str
    lift: bool | None = None


class _SaeSettings(_Form):
    folder: str | None = None
    dictionary: str | None = None


class _Settings(_Form):
    """What is read without the rest, which may be of another version of this package."""

    metrics: Annotated[dict[str, Any], AfterValidator(partial(_is_config, MetricsConfig))]
    evidence: Annotated[dict[str, Any], AfterValidator(partial(_is_config, EvidenceConfig))]
    sae: _SaeSettings
    span: str | None = None


def _named_apart(benchmarks: list[_Benchmark]) -> list[_Benchmark]:
    if len({benchmark.name for benchmark in benchmarks}) < len(benchmarks):
        raise ValueError("two benchmarks have one name")
    return benchmarks


class _Manifest(_Form):
    created: Annotated[str, AfterValidator(_is_time)]
    command: str | list[str]
    versions: dict[str, Any]
    model: _Model
    scored_model: str
    sae: _Sae
    hook: _Hook
    span: str
    pooling: str
    gate: _Gate
    evidence: Annotated[dict[str, Any], AfterValidator(_is_evidence)]
    benchmarks: Annotated[list[_Benchmark], AfterValidator(_named_apart)]
    settings: _Settings
    timings: dict[str, _Number]
    bos_id: int | None
    judging: _Judging | None = None
    outcome: _Outcome = Field(default=None)  # type: ignore[assignment]
    """Only where it is one of an outcome; never null."""
    dictionary: _Dictionary | None = None
    reference: _Reference | None = None
