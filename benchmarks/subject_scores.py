"""What a prior that has learned a subject is worth: is it that subject, as told, and what has it forgotten?"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from data.cameras import Cameras
from data.samplers import turntable
from data.toybox.captions import parse
from data.toybox.grammar import ACCESSORIES, COLORS
from data.toybox.raycast import render
from data.toybox.subjects import Subject
from guidance.diffusion_prior import DiffusionPrior
from guidance.prompts import PromptProcessor
from guidance.sampling import DDIM
from metrics.clip import Clip
from metrics.clip_score import clip_scores, first_ranked
from metrics.distribution import kid
from metrics.features import EfficientNetLite0
from metrics.ground_truth import compare, psnr, silhouette_iou
from metrics.identity import FeatureEmbedder, ImageEmbedder, identity, likeness
from metrics.image_set import ImageSet, see
from metrics.intervals import mean_interval
from metrics.janus import janus, janus_cameras, read_rule, rule_file
from metrics.toybox_truth import silhouette_on_grey, toy_of, true_views
from metrics.true_views import TrueViews
from systems.past_run import open_run
from systems.reports.provenance import write_whole
from systems.rng import step_generator

SIZE = 64
SAMPLER = DDIM(steps=30, scale=4.0)
Look = Callable[[Cameras], tuple[Float[Tensor, "b h w 3"], Float[Tensor, "b h w 1"]]]  # colour, coverage


@dataclass(frozen=True)
class Known:
    """Of a prior without the subject: per held-out caption, what a figure was."""

    clip_score: list[float]
    psnr: list[float]
    iou: list[float]
    kid: float


@dataclass(frozen=True)
class Networks:
    """What looks at pictures, loaded once."""

    clip: Clip = field(default_factory=lambda: Clip("assets/mini_clip"))
    efficientnet: EfficientNetLite0 = field(default_factory=EfficientNetLite0)

    @cached_property
    def embedders(self) -> list[ImageEmbedder]:
        return [FeatureEmbedder(self.efficientnet), self.clip]


def sample(prior: DiffusionPrior, prompt: str, seed: int) -> Float[Tensor, "4 h w 3"]:
    embeddings = PromptProcessor(prompt)(prior)
    return SAMPLER(prior, embeddings.at(turntable(4, SIZE)), step_generator(seed, 0))


def look_at_samples(prior: DiffusionPrior, prompt: str, seeds: int) -> Float[Tensor, "b h w 3"]:
    return torch.cat([sample(prior, prompt, seed) for seed in range(seeds)])


def of_subject(
    images: Float[Tensor, "b h w 3"], opacity: Float[Tensor, "b h w 1"], subject: Subject, prompt: str,
    cameras: Cameras, pictures: Float[Tensor, "n h w 3"], networks: Networks,
) -> dict[str, float]:  # fmt: skip
    """Pictures of one or more objects from all of `cameras`, which should show the subject as the prompt says; that
    in plain words, "a yellow dog wearing a red hat"."""
    worn = parse(prompt).worn
    truth = render(subject.build(worn), cameras, supersampling=3)
    truths = truth.repeat(len(images) // len(cameras), 1, 1, 1)
    scores = {
        "truth_psnr": psnr(images, truths[..., :3]),
        "truth_iou": silhouette_iou(opacity, truths[..., 3:]),
        **{f"identity_pictures_{one.name}": likeness(pictures, one) for one in networks.embedders},
    }
    for whose, seen in (("", images), ("truth_", truth[..., :3])):  # of the subject itself, too, from the same cameras
        found = {f"identity_{whose}{one.name}": identity(seen, pictures, one) for one in networks.embedders}
        found[f"clip_score_{whose}{networks.clip.name}"] = clip_scores(networks.clip, seen, [prompt] * len(seen))
        if worn:
            found[f"r_precision_{whose}{networks.clip.name}"] = retrieved(seen, prompt, networks.clip)
        scores |= {name: values.mean().item() for name, values in found.items()}
    return scores


def retrieved(images: Float[Tensor, "b h w 3"], prompt: str, clip: Clip) -> Float[Tensor, "b"]:
    """Is the prompt nearer than the same with another thing worn, in any colour, or with none: 41 in all?"""
    toy = parse(prompt)
    plain = f"a {toy.color} {toy.kind}"
    worn = [f"{'an' if color[0] in 'aeiou' else 'a'} {color} {item}" for color in COLORS for item in ACCESSORIES]
    candidates = [plain, *(f"{plain} wearing {one}" for one in worn)]
    cosine = clip.embed_images(images) @ clip.embed_texts(candidates).T
    return first_ranked(cosine, torch.full((len(images),), candidates.index(prompt))).float()


def known(prior: DiffusionPrior, networks: Networks, captions: Sequence[str]) -> Known:
    """Four views of each caption, against the true toys: EvaluatePrior's figures, and KID to those."""
    cameras, samples, truths = turntable(4, SIZE), [], []
    found = []
    for i, text in enumerate(captions):
        toy = toy_of(text)
        assert toy is not None
        images, (rgb, opacity) = sample(prior, text, i), true_views(toy, cameras)
        found.append(compare(images, silhouette_on_grey(images), rgb, opacity))
        samples.append(images)
        truths.append(rgb)
    said = [text for text in captions for _ in range(len(cameras))]
    scores = clip_scores(networks.clip, torch.cat(samples), said).unflatten(0, (-1, len(cameras))).mean(dim=1)
    generated, real = (_seen(networks, torch.stack(images)) for images in (samples, truths))
    return Known(
        scores.tolist(),
        [one.psnr for one in found],
        [one.silhouette_iou for one in found],
        kid(generated, real, same_captions=True).value,
    )


def _seen(networks: Networks, images: Float[Tensor, "o v h w 3"]) -> ImageSet:
    return see(networks.efficientnet, images.split(2))


def lost(before: Known, after: Sequence[Known]) -> dict[str, float]:
    """Figures of priors, each of which learned a subject of its own: means, and what they are less than before, with
    the reach of the 95 % interval over captions."""
    scores = {"known_kid": statistics.fmean(one.kid for one in after)}
    for name in ("clip_score", "psnr", "iou"):
        was, now = torch.tensor(getattr(before, name)), torch.tensor([getattr(one, name) for one in after]).mean(dim=0)
        interval = mean_interval(was - now)
        scores[f"known_{name}"] = now.mean().item()
        scores[f"lost_{name}"] = (was - now).mean().item()
        scores[f"lost_{name}_reach"] = (interval.high - interval.low) / 2
    return scores


def of_object(
    run: Path, subject: Subject, prompt: str, pictures: Float[Tensor, "n h w 3"], networks: Networks
) -> dict[str, float]:
    """A finished run of guidance=dreambooth: eight views, and how many fronts."""
    cameras, look = turntable(8, SIZE), of_run(run)
    images, opacity = look(cameras)
    scores = of_subject(images, opacity, subject, prompt, cameras, pictures, networks)
    solids = lambda fronts: subject.build(parse(prompt).worn, fronts)
    found = janus(*look(janus_cameras(SIZE)), prompt, TrueViews(solids), read_rule(rule_file("true_views")))
    return scores | {"janus": int(found.is_janus), "janus_front_arcs": found.front_arcs}


@torch.no_grad()
def of_run(run: Path) -> Look:
    past = open_run(run)

    @torch.no_grad()
    def look(cameras: Cameras) -> tuple[Float[Tensor, "b h w 3"], Float[Tensor, "b h w 1"]]:
        seen = [past.renderer(past.scene, cameras[i : i + 1]) for i in range(len(cameras))]
        return torch.cat([one.rgb for one in seen]), torch.cat([one.opacity for one in seen])

    return look


def kept(file: Path, about: Mapping[str, object], make: Callable[[], dict]) -> dict:
    """What `make` returns, from the file if it is there and about the same."""
    asked = json.loads(json.dumps(about))
    found = json.loads(file.read_text()) if file.exists() else {}
    if found.get("about") != asked:
        found = {"about": asked, "figures": make()}
        write_whole(file, found)
    return found["figures"]


def made(folder: Path) -> int:
    """Another number for each time that a run has written its metrics, or a prior its UNet."""
    file = (
        folder / "metrics.json" if (folder / "metrics.json").exists() else next((folder / "unet").glob("*.safetensors"))
    )
    return file.stat().st_mtime_ns


def kept_known(folder: Path, prior: Path, networks: Networks, captions: Sequence[str]) -> Known:
    """Of the prior in a folder, kept as known.json in another."""
    about = {"captions": list(captions), "made": made(prior)}
    find = lambda: asdict(known(DiffusionPrior(str(prior), device="cpu"), networks, captions))
    return Known(**kept(folder / "known.json", about, find))
