"""From which side a picture shows its object, by a model that was taught view words."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from data.directions import DIRECTIONS, FRONT
from data.errors import UserError
from metrics.text_image import TextImageModel


class ClipViews:
    """P(view | picture) = softmax over the prompt with each of the view words, at the model's own logit scale."""

    def __init__(self, model: TextImageModel, template: str = "{prompt}, {direction} view") -> None:
        if "{prompt}" not in template or "{direction}" not in template:
            raise UserError(f'views.template="{template}" must hold {{prompt}} and {{direction}}')
        self.model, self.template = model, template

    def p_views(self, images: Float[Tensor, "b h w 3"], prompt: str) -> Float[Tensor, "b 3"]:
        """In the order of data.directions.DIRECTIONS."""
        said = [self.template.replace("{prompt}", prompt).replace("{direction}", name) for name in DIRECTIONS]
        cosine = self.model.embed_images(images) @ self.model.embed_texts(said).T
        return torch.softmax(self.model.logit_scale * cosine, dim=1)

    def p_front(self, images: Float[Tensor, "b h w 3"], prompt: str) -> Float[Tensor, "b"]:
        return self.p_views(images, prompt)[:, FRONT]
