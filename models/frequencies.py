"""Positional encoding (Mildenhall et al. 2020, NeRF), plain or smoothed."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from data.ranges import NonNegativeFloat, PositiveInt
from models.backends import Backend


class Frequencies(nn.Module):
    """p, and for each band k: w_k sin(2^k pi p), w_k cos(2^k pi p); p = 2x - 1 in [-1, 1]^3. Nothing to learn.

    width: the expectation under a Gaussian around p of this standard deviation (in p: 1 is the scene's radius), instead
        of the value at p: w_k = exp(-(2^k pi width)^2 / 2); 0: plain. One width for all samples: a low-pass filter.
        mip-NeRF (Barron et al. 2021, eq. 14), as in DreamFusion, has that of the pixel's cone at each sample.
    active_bands: w_k times (1 - cos(pi clamp(active_bands - k, 0, 1))) / 2: bands come in one after the other, softly,
        as a schedule raises it (Park et al. 2021, Nerfies eq. 8); None: all.
    """

    def __init__(
        self,
        n_bands: PositiveInt = 6,
        width: NonNegativeFloat = 0.0,
        active_bands: NonNegativeFloat | None = None,
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        self.backend = backend  # of the networks that read this; it needs none itself
        self.n_bands, self.width = n_bands, width
        self.active_bands = n_bands if active_bands is None else active_bands
        self.n_output = 3 + 6 * n_bands

    def forward(self, x: Float[Tensor, "n 3"], known: Float[Tensor, "n f"] | None = None) -> Float[Tensor, "n f"]:
        if known is not None:
            return known
        frequency, weight = self._bands(x)
        p = (2 * x - 1).t()
        features = x.new_empty(self.n_output, len(x))  # feature by feature, as the networks on CPU read them
        features[:3] = p
        waves = features[3:].view(self.n_bands, 2, *p.shape)
        phase = frequency[:, None, None] * p
        torch.sin(phase, out=waves[:, 0])
        torch.cos(phase, out=waves[:, 1])
        waves *= weight[:, None, None, None]
        return features.t()

    def with_jacobian(self, x: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "n f"], Float[Tensor, "n f 3"]]:
        """d sin(a p) = a cos(a p) dp, d cos(a p) = -a sin(a p) dp, dp = 2 dx."""
        features = self(x)
        sine, cosine = features.t()[3:].view(self.n_bands, 2, 3, len(x)).unbind(dim=1)
        jacobian = x.new_zeros(self.n_output, 3, len(x))
        jacobian[:3].diagonal().fill_(2.0)
        slopes = jacobian[3:].view(self.n_bands, 2, 3, 3, len(x)).diagonal(dim1=2, dim2=3)  # k 2 n 3
        along = 2 * self._bands(x)[0][:, None, None]
        slopes[:, 0] = (along * cosine).transpose(1, 2)
        slopes[:, 1] = (-along * sine).transpose(1, 2)
        return features, jacobian.permute(2, 0, 1)

    def _bands(self, x: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "k"], Float[Tensor, "k"]]:
        """Frequency and weight of each."""
        band = torch.arange(self.n_bands, device=x.device, dtype=x.dtype)
        frequency = math.pi * 2**band
        window = (1 - torch.cos(math.pi * (self.active_bands - band).clamp(0, 1))) / 2
        return frequency, torch.exp(-((frequency * self.width) ** 2) / 2) * window
