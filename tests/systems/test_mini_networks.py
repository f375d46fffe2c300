from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import UserError
from systems.training.mini_networks import load_autoencoder, load_text_encoder, load_unet


def test_stage_before_its_predecessor_names_what_to_run_first(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="experiment=train_prior_2d first"):
        load_unet(str(tmp_path), multi_view=True)
    with pytest.raises(UserError, match="experiment=train_prior_2d first"):
        load_text_encoder(str(tmp_path))
    with pytest.raises(UserError, match="experiment=train_autoencoder first"):
        load_autoencoder(str(tmp_path))
