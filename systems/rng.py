"""Randomness from (seed, step), so that a resumed run draws what an uninterrupted one would have drawn."""

from __future__ import annotations

import torch


def step_generator(seed: int, step: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for one step; the two numbers are spread over 64 bits by the splitmix64 finaliser."""
    mask = (1 << 64) - 1
    z = ((seed + 1) * 0x9E3779B97F4A7C15 + (step + 1) * 0xD1B54A32D192ED03) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return torch.Generator(device).manual_seed((z ^ (z >> 31)) >> 1)
