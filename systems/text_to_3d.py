"""Text to 3D by score distillation: look at the scene, ask the prior what it misses, improve the scene."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader

from data.cameras import Cameras
from data.errors import UserError
from data.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt
from data.samplers import CameraSampler
from data.share import Share
from guidance.output import Guidance
from guidance.prompts import PromptProcessor
from models.scene import Scene
from renderers.output import Renderer, RenderOutput
from systems.command.trees import Tree, flatten
from systems.dataloader import steps_loader
from systems.learning_rate import parameter_groups
from systems.losses import Loss
from systems.rng import step_generator
from systems.schedules import Schedule, ScheduleTable


class TextTo3D(LightningModule):
    """Optimises `scene` until its renders look, to the prior, like pictures of the prompt.

    learning_rates: by the beginning of a parameter's name in the scene, `guidance` for one that learns, too; the
        longest that fits wins.
    schedules: which attribute of this system follows which function of the progress.
    batch_size: images per step; a multi-view prior takes them in groups. A schedule may change it. Several processes
        share their rendering, each draws what is random for all of them, and asks the guidance about all.
    lr_factor: of all learning rates, for a schedule.
    """

    lr_factor: float = 1.0

    def __init__(
        self,
        scene: Scene,
        renderer: Renderer,
        guidance: Guidance,
        prompt_processor: PromptProcessor,
        sampler: CameraSampler,
        losses: Mapping[str, Loss],
        schedules: Tree[Schedule | None],
        learning_rates: Tree[NonNegativeFloat],
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: NonNegativeFloat = 0.01,
        batch_size: PositiveInt = 8,
        max_steps: PositiveInt = 600,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        _check_batch_sizes(batch_size, schedules, max_steps, math.lcm(guidance.prior.n_view, sampler.n_view))
        self.scene = scene
        self.renderer = renderer
        self.guidance = guidance
        self.prompt = prompt_processor.prompt
        self.prompts = prompt_processor(guidance.prior)
        self.sampler = sampler
        self.losses = losses
        self.learning_rates, self.betas, self.weight_decay = flatten(learning_rates), betas, weight_decay
        self.batch_size, self.max_steps, self.seed = batch_size, max_steps, seed
        self.schedules = ScheduleTable(self, schedules)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> dict[str, Tensor]:
        """The loss; and what systems/reports/progress.py writes down, at a tenth of what Lightning's log would take."""
        rng = self.begin_step(self.global_step)

        cameras = self.sampler.draw(self.batch_size, rng).to(self.device)
        share = Share(self.trainer.global_rank, self.trainer.world_size)
        seen = self.renderer(self.scene, cameras, rng, share)
        wanted = self.guidance(share.gather(seen.rgb), self.prompts.at(cameras), rng)
        losses = {name: loss for name, loss in self.losses.items() if loss.weight}
        terms = {name: loss.weight * share.mean(loss(self.scene, seen)) for name, loss in losses.items()}

        total = wanted.loss + sum(terms.values(), torch.zeros_like(wanted.loss))
        shares = {f"loss/{name}": term for name, term in {"guidance": wanted.loss, **terms}.items()}
        if wanted.critic is not None:
            shares["loss/critic"] = wanted.critic
        now = {"t": wanted.t.float().mean(), "residual": wanted.residual, "opacity": share.mean(seen.opacity.mean())}
        return {"loss": total} | {name: value.detach() for name, value in (shares | now).items()}

    def begin_step(self, step: int) -> torch.Generator:
        """Brings everything that depends on the step alone up to date; returns the step's source of randomness."""
        rng = step_generator(self.seed, step)
        self.schedules.apply(step / self.max_steps)
        self.renderer.update(step, self.scene, rng)
        return rng

    @torch.no_grad()
    def look(self, cameras: Cameras) -> RenderOutput:
        """A render without randomness."""
        return self.renderer(self.scene, cameras.to(self.device))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        options = parameter_groups(self._learners(), self.learning_rates)
        for group in options:
            group["initial_lr"] = group["lr"]
        return torch.optim.AdamW(options, betas=self.betas, eps=1e-15, weight_decay=self.weight_decay, fused=True)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            group["lr"] = self.lr_factor * group["initial_lr"]

    def _learners(self) -> Iterator[tuple[str, Tensor]]:
        """The scene's parameters, and those of a guidance that learns, too."""
        yield from self.scene.named_parameters()
        if isinstance(self.guidance, torch.nn.Module):
            yield from self.guidance.named_parameters(prefix="guidance")

    def train_dataloader(self) -> DataLoader:
        return steps_loader(self.max_steps)

    def on_load_checkpoint(self, checkpoint: dict[str, object]) -> None:
        """Refuses the state of another scene, naming the first difference."""
        saved, own = checkpoint["state_dict"], self.state_dict()
        assert isinstance(saved, dict)
        for name in sorted(saved.keys() | own.keys()):
            shapes = [tuple(state[name].shape) if name in state else None for state in (saved, own)]
            if shapes[0] != shapes[1]:
                raise UserError(
                    f"the checkpoint is of another scene ({name}: {shapes[0]} there, {shapes[1]} here):"
                    " say resume=never, or give the run's own configuration"
                )


def _check_batch_sizes(batch_size: int, schedules: Tree[Schedule | None], max_steps: int, group: int) -> None:
    """The one at the start, or all that a schedule will set."""
    schedule = flatten(schedules).get("batch_size")
    key = "system.batch_size"
    sizes: set[int | float] = {batch_size}
    if isinstance(schedule, Schedule):
        key, sizes = "system.schedules.batch_size", {schedule(step / max_steps) for step in range(max_steps)}
    for size in sizes:
        if not isinstance(size, int) or size < 1 or size % group:
            raise UserError(f"{key}={size} must be a multiple of {group}, the views of an object")
