"""diffusers' UNet with MVDream's 2D mode."""

from __future__ import annotations

from typing import NoReturn

from diffusers import UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor


class CameraUNet(UNet2DConditionModel):
    """The camera is the UNet's "class" (class_embed_type="projection"); without one its embedding is skipped.

    diffusers refuses to run such a UNet without a class. MVDream skips the camera MLP in 2D mode, which differs from
    embedding a camera of zeros by the MLP's biases.
    """

    def get_class_embed(
        self, sample: Float[Tensor, "b c y x"], class_labels: Float[Tensor, "b 16"] | None
    ) -> Float[Tensor, "b d"] | None:
        return None if class_labels is None else super().get_class_embed(sample, class_labels)

    def set_attention_slice(self, slice_size: str | int | list[int] = "auto") -> NoReturn:
        """diffusers' own would replace the processor, and views would no longer see each other."""
        raise NotImplementedError("attention is sliced by guidance.multiview.set_view_count(unet, n_view, slice_size)")

    @property
    def takes_camera(self) -> bool:
        return self.class_embedding is not None
