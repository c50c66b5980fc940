"""Check on a sample of a run's tokens that the SAE fits the model's activations.

A wrong layer, hook, model or normalisation loads without an error and gives meaningless numbers. A sample of the
run's own tokens shows the mismatch: an SAE that fits reconstructs them sparsely. A transcoder is judged by how well
it rebuilds the MLP's output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.sae.load import SparseAutoencoder
from competency_gaps.util.errors import UserError

if TYPE_CHECKING:
    import torch

MAX_ACTIVE_SHARE = 0.1
"""Largest share of the latents that may be active on a token."""
MAX_L0_RATIO = 4
"""Largest ratio of the measured L0 to the stated one, in either direction; other texts change L0 by less [ours]."""
_ARCHITECTURE_HINT = ", and whether a TopK, JumpReLU or gated SAE was saved or loaded as plain ReLU"
MAX_NORM_RATIO = 10
"""Multiple of the median norm above which a token is left out of the explained variance, as SAE trainers do: the few
tokens on which models park attention would make up nearly all of the variance."""
MIN_DISTANCE_SHARE = 0.7
"""Least explained share of the squared distance from what the SAE decodes without latents, at which an SAE fits
although it explains no variance: items that are nearly the same hardly vary. The embedded SAE reaches 0.78 to 0.91
on eight sets; read five layers off, 0.45 to 0.64; an MLP's SAE on residuals, 0.3 [ours]."""
LOW_EXPLAINED_VARIANCE = 0.3
"""Explained variance below which the gate's line calls it low; SAEs of neighbouring layers still reach it [ours]."""


@dataclass(frozen=True)
class GateFigures:
    """Measurements of the gate on a sample of tokens."""

    tokens: int
    """Tokens read; a first token that only marks the start is left out."""
    l0: float
    """Mean number of active latents per token."""
    explained_variance: float | None
    """1 - sum |x - x_hat|^2 / sum |x - mean x|^2 over tokens of usual norm, where x is what the SAE should rebuild; 1
    is perfect, <= 0 is no better than the mean. None if x does not vary (a single stretch), or a transcoder does not
    say where its output is."""
    dead_share: float
    """Share of the latents that are silent on the whole sample, in [0, 1]; falls as the sample grows."""
    d_sae: int
    passed: bool
    forced: bool = False
    """Whether the run continued although the SAE failed."""
    stated_l0: float | None = None
    """L0 as the SAE's authors state it; None if unknown."""

    def sentence(self) -> str:
        """Return the figures in one line."""
        explained = "not known" if self.explained_variance is None else f"{self.explained_variance:.3f}"
        if self.explained_variance is not None and self.explained_variance < LOW_EXPLAINED_VARIANCE:
            alike = self.explained_variance <= 0 and self.passed
            why = "the items are very similar" if alike else "low: check the model, the layer and the site"
            explained += f" ({why})"
        stated = "" if self.stated_l0 is None else f" (stated: {self.stated_l0:.4g})"
        return (
            f"SAE on {self.tokens:,} tokens of this run: L0 {self.l0:.1f}{stated} of {self.d_sae:,}, "
            f"explained variance {explained}, {self.dead_share:.0%} of latents silent"
        )


class LatentStatistics:
    """Running statistics per latent over tokens; used by the gate and by an SAE's reference.

    Memory is a few vectors of the SAE's width, whatever the number of tokens.
    """

    def __init__(self, width: int, d_out: int) -> None:
        self.tokens = 0
        self.template_tokens = 0
        self.active = np.zeros(width)
        """Tokens on which the latent is active."""
        self.mass = np.zeros(width)
        """Sum of its activation over the item's own text."""
        self.template_mass = np.zeros(width)
        """Sum of its activation over template and boundary tokens."""
        self._largest: float | None = None
        self._usual = 0
        self._mean = np.zeros(d_out)
        self._scatter = 0.0
        self._error = 0.0
        self._negative = 0.0

    def add(
        self, target: torch.Tensor | None, latents: torch.Tensor, decoded: torch.Tensor, in_body: np.ndarray
    ) -> None:
        """Add a batch of tokens.

        Parameters
        ----------
        target, decoded : torch.Tensor of shape (tokens, d_out)
            What the SAE should rebuild, and what it rebuilds; without a target only activity is counted.
        latents : torch.Tensor of shape (tokens, width)
        in_body : ndarray of bool of shape (tokens,)
            Tokens of the item's own text; the others are template or boundary tokens.
        """
        import torch

        if target is not None:
            x, rebuilt = target.double(), decoded.double()
            norms = x.norm(dim=1)
            if self._largest is None:
                self._largest = MAX_NORM_RATIO * float(norms.median())
            usual = ~(norms > self._largest)
            if bool(usual.any()):
                self._add_variance(x[usual], rebuilt[usual])
        self._negative = min(self._negative, float(latents.min()))
        mask = torch.from_numpy(in_body).to(latents.device)
        mass = latents.sum(dim=0, dtype=torch.float64).cpu().numpy()
        body_mass = latents[mask].sum(dim=0, dtype=torch.float64).cpu().numpy()
        self.active += (latents > 0).sum(dim=0).cpu().numpy()
        self.mass += body_mass
        self.template_mass += mass - body_mass
        self.tokens += len(latents)
        self.template_tokens += int((~in_body).sum())

    def _add_variance(self, x: torch.Tensor, rebuilt: torch.Tensor) -> None:
        """Add tokens to the sums behind the explained variance."""
        count, mean = len(x), x.mean(dim=0).cpu().numpy()
        # Chan's merge of means and squared deviations: stable whatever the activations' scale.
        delta = mean - self._mean
        total = self._usual + count
        within = float((x - x.mean(dim=0)).square().sum())
        self._scatter += within + float(delta @ delta) * self._usual * count / total
        self._mean += delta * count / total
        self._error += float((x - rebuilt).square().sum())
        self._usual = total

    @property
    def has_target(self) -> bool:
        """Whether the tokens came with what the SAE should rebuild."""
        return self._largest is not None

    @property
    def explained_variance(self) -> float:
        """1 - residual / variance about the mean; NaN if there is no variance."""
        return 1.0 - self._error / self._scatter if self._scatter else float("nan")

    def explained_about(self, centre: np.ndarray) -> float:
        """Return 1 - residual / squared distance from a point of shape (d_out,)."""
        return 1.0 - self._error / (self._scatter + self._usual * float(np.square(self._mean - centre).sum()))

    @property
    def l0(self) -> float:
        """Mean number of active latents per token."""
        return float(self.active.sum() / self.tokens)

    @property
    def density(self) -> np.ndarray:
        """Share of tokens on which each latent is active, in [0, 1]."""
        return self.active / self.tokens

    @property
    def template_share(self) -> np.ndarray:
        """Share of each latent's mass on template and boundary tokens; NaN where it is silent."""
        total = self.mass + self.template_mass
        return np.divide(self.template_mass, total, out=np.full(len(total), np.nan), where=total > 0)

    @property
    def signed(self) -> bool:
        """Whether any activation was below zero."""
        return self._negative < 0


def judge(statistics: LatentStatistics, sae: SparseAutoencoder, *, force: bool) -> GateFigures:
    """Return the gate's figures, with its decision whether the SAE fits.

    Raises
    ------
    UserError
        If the SAE does not fit (neither variance nor distance from its own centre explained, L0 above a tenth of the
        width or far from what its authors state) and ``force`` is off; or if latents are negative, for which the
        method's means have no meaning.
    """
    if statistics.signed:
        raise UserError(
            f"SAE {sae.name!r} has latents below zero ({sae.identity['architecture']}): "
            f"a concept's activation must be at least 0. Use an SAE with non-negative latents."
        )
    ev, l0 = statistics.explained_variance, statistics.l0
    faults = []
    if statistics.has_target and not ev > 0 and not statistics.explained_about(_centre(sae)) > MIN_DISTANCE_SHARE:
        faults.append(f"explained variance {ev:.3f} (expected above 0)")
    if l0 > MAX_ACTIVE_SHARE * sae.d_sae:
        faults.append(
            f"L0 {l0:.0f} (expected at most {MAX_ACTIVE_SHARE * sae.d_sae:.0f}, a tenth of {sae.d_sae} latents)"
        )
    stated = sae.identity["stated_l0"]
    if stated is not None and not stated / MAX_L0_RATIO <= l0 <= MAX_L0_RATIO * stated:
        faults.append(f"L0 {l0:.1f} (its authors state {stated:.4g})")
    dense = (stated is not None and l0 > MAX_L0_RATIO * stated) or l0 > MAX_ACTIVE_SHARE * sae.d_sae
    figures = GateFigures(
        tokens=statistics.tokens,
        l0=l0,
        explained_variance=None if np.isnan(ev) else ev,
        dead_share=float((statistics.active == 0).mean()),
        d_sae=sae.d_sae,
        passed=not faults,
        forced=bool(faults) and force,
        stated_l0=stated,
    )
    if faults and not force:
        raise UserError(
            f"the SAE {sae.name!r} does not fit the activations at {sae.hook_name}: {'; '.join(faults)}. "
            f"It was trained for model {sae.identity['model_name']!r} at {sae.identity['own_hook_name']}. Check model, "
            f"layer and site (sae.hook_name) and precision{_ARCHITECTURE_HINT if dense else ''}; to continue "
            f"anyway, set sae.force=true."
        )
    return figures


def _centre(sae: SparseAutoencoder) -> np.ndarray:
    """Return what the SAE decodes if no latent is active: float64 of shape (d_out,)."""
    import torch

    with torch.inference_mode():
        centre = sae.sae.decode(torch.zeros(1, sae.d_sae, device=sae.sae.device, dtype=sae.sae.dtype))[0]
    return centre.double().cpu().numpy()
