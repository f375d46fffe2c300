"""From what the user wrote as `prior.path` to weights."""

from __future__ import annotations

from guidance.prior_folder import HubId, find_prior
from guidance.weights.diffusers_folder import DiffusersFolder
from guidance.weights.original_file import OriginalFile
from guidance.weights.prior_weights import PredictionType, PriorWeights


def open_weights(path: str, prediction_type: PredictionType = "auto") -> PriorWeights:
    """path: a folder in diffusers' layout, a file in the original's, or a repository "owner/name" of the hub."""
    found = find_prior(path)
    if isinstance(found, HubId):
        from guidance.weights.hub import fetch

        found = fetch(found)
    return OriginalFile(found, prediction_type) if found.is_file() else DiffusersFolder(found, prediction_type)
