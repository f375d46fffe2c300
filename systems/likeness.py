"""A surface learns to look as the scene that it starts from: pictures, instead of a prior."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from data.cameras import Cameras
from data.ranges import NonNegativeInt, PositiveInt
from models.backgrounds import SolidBackground
from models.dmtet import Tetrahedra
from models.scene import Scene
from renderers.output import RenderOutput
from systems.learning_rate import parameter_groups
from systems.past_run import PastRun
from systems.rng import step_generator
from systems.text_to_3d import TextTo3D

log = logging.getLogger(__name__)
FLOOR = 0.1  # of the learning rates at the last step


class Likeness:
    """Where a volume has become tetrahedra, their surface is where the density passes a threshold, and their colours
    are those at the surface, not those seen through the layer around it. Renders of both, side by side, mend that.

    steps: of Adam at the run's own learning rates, which fall; 0: none. size: pixels of a render.
    """

    def __init__(self, steps: NonNegativeInt = 150, size: PositiveInt = 128) -> None:
        self.steps, self.size = steps, size

    def __call__(self, system: TextTo3D, source: PastRun, device: torch.device) -> None:
        """From the run's own cameras; on `device`, where both scenes stay."""
        if not self.steps or not isinstance(system.scene.geometry, Tetrahedra):
            return
        system.to(device)
        source.scene.to(device)
        if isinstance(source.renderer, nn.Module):
            source.renderer.to(device)
        named = [(name, value) for name, value in system.scene.named_parameters() if name.startswith("geometry.")]
        optimiser = torch.optim.Adam(parameter_groups(named, system.learning_rates), betas=system.betas, eps=1e-15)
        fall = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: FLOOR ** (step / self.steps))
        with _before_grey(system.scene, source.scene):
            for step in range(self.steps):
                cameras = self._cameras(system, step).to(device)
                with torch.no_grad():
                    wanted = source.renderer(source.scene, cameras)
                error = difference(system.renderer(system.scene, cameras), wanted)
                optimiser.zero_grad()
                error.backward()
                optimiser.step()
                fall.step()
                if (step + 1) % 50 == 0:
                    log.info("  step %d/%d of learning its looks, error %.2g", step + 1, self.steps, error.item())

    def _cameras(self, system: TextTo3D, step: int) -> Cameras:
        drawn = system.sampler.draw(system.batch_size, step_generator(system.seed, step))
        return replace(drawn, height=self.size, width=self.size)


def difference(seen: RenderOutput, wanted: RenderOutput) -> Float[Tensor, ""]:
    """Mean squared errors of colour, and of what is covered: a surface covers a pixel or not, so that what is at least
    half opaque is wanted as covered."""
    covered = (wanted.opacity > 0.5).float()
    return (seen.rgb - wanted.rgb).square().mean() + (seen.opacity - covered).square().mean()


@contextmanager
def _before_grey(*scenes: Scene) -> Iterator[None]:
    """One background, so that it makes no difference."""
    own = [scene.background for scene in scenes]
    for scene in scenes:
        scene.background = SolidBackground().to(next(scene.parameters()).device)
    try:
        yield
    finally:
        for scene, background in zip(scenes, own, strict=True):
            scene.background = background
