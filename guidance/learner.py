"""What of a prior is fine-tuned on a subject: copies of its networks, and the word that will mean the subject."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear as Adapted
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from transformers import CLIPTextModel

from data.errors import UserError
from data.ranges import NonNegativeInt, PositiveInt
from guidance.camera_unet import CameraUNet
from guidance.critic import ATTENTION
from guidance.diffusion import alpha_sigma, draw_noise, training_target
from guidance.multiview import set_view_count
from guidance.new_word import check_new_word, check_rare
from guidance.text_encoder import TextEncoder
from guidance.tokenizer import WordTokenizer
from guidance.weights.clip_tokenizer import BytePairs
from guidance.weights.prior_weights import PriorWeights
from guidance.word_embedding import WordEmbedding

Part = Literal["unet", "text_encoder", "word"]
ORDER = ("unet", "text_encoder", "word")  # the word apart from the others once those are open
TEXT_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")
CAMERA = "class_embedding."  # diffusers' name for it; 2D mode skips it
WORDS = "token_embedding/weight"  # the end of what the embeddings of all words are called here,
WORD = "token_embedding/word"  # and of what that of the new one is, if it learns apart
ADAPTER = "default"  # peft's name for the first one


class Learner(nn.Module):
    """The UNet in 2D mode and the text encoder, float32; what is trained of them is a parameter of this, and stands in
    checkpoints, what is frozen does not.

    word: what will mean the subject. A vocabulary of words gets it as a new one, which starts in the middle of the
    others; of byte pairs it must be a rare one.
    parts: which of the two learn; "word": the embedding of that word, apart from the others. rank: of low-rank adapters
    on every attention (Hu et al. 2021); None: all weights learn, but not those of the camera.
    """

    def __init__(
        self,
        weights: PriorWeights,
        word: str,
        parts: Sequence[Part] = ("unet", "text_encoder"),
        rank: PositiveInt | None = None,
        device: torch.device | str = "cpu",
        checkpointing: bool = False,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        if not parts:
            raise UserError("system.parts=[]: then nothing learns; say [unet], or [unet,text_encoder]")
        schedule, device = weights.schedule(), torch.device(device)
        self.alphas_cumprod = schedule.alphas_cumprod.to(device)
        self.prediction_type = schedule.prediction_type
        text, self.token = with_word(weights.text_encoder(device), word)
        self.tokenizer = text.tokenizer
        self._unet, self._text = [weights.unet(torch.float32, device)], [text.model]  # in lists: no submodules
        set_view_count(self.unet, 1)
        if checkpointing:
            self.unet.enable_gradient_checkpointing()
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(seed)
            for part in sorted(parts, key=ORDER.index):
                self._open(part, rank)
        named = [(f"{part}.{name}", weight) for part, network in self._networks() for name, weight in network]
        trained = {name: weight for name, weight in named if weight.requires_grad}
        self.trained = nn.ParameterDict({name.replace(".", "/"): weight for name, weight in trained.items()})

    def _open(self, part: Part, rank: int | None) -> None:
        if part == "word":
            embedding = WordEmbedding(self.text_encoder.get_input_embeddings(), self.token)
            self.text_encoder.set_input_embeddings(embedding)
        else:
            _open(self.unet if part == "unet" else self.text_encoder, rank)

    @property
    def unet(self) -> CameraUNet:
        return self._unet[0]

    @property
    def text_encoder(self) -> CLIPTextModel:
        return self._text[0]

    def _networks(self):
        return ("unet", self.unet.named_parameters()), ("text_encoder", self.text_encoder.named_parameters())

    def loss(
        self,
        latents: Float[Tensor, "b c y x"],
        sentences: list[str],
        rng: torch.Generator,
        cameras: Float[Tensor, "b 16"] | None = None,
    ) -> Float[Tensor, ""]:
        """Of denoising pictures that show what their sentences say: |eps_hat(x_t, t, y) - eps|^2, or the same of v, if
        that is what the network predicts. One timestep a picture, each alone; cameras=None is the 2D mode."""
        t = torch.randint(len(self.alphas_cumprod), (len(latents),), generator=rng, device=rng.device)
        t = t.to(latents.device)
        alpha, sigma = alpha_sigma(self.alphas_cumprod, t)
        noise = draw_noise(latents, rng)
        text = self.text_encoder(self.tokenizer(sentences).to(latents.device)).last_hidden_state
        found = self.unet(alpha * latents + sigma * noise, t, text, cameras).sample
        return mse_loss(found.float(), training_target(self.prediction_type, latents, noise, alpha, sigma))

    def weights(self) -> list[Tensor]:
        """theta, without the word, which means nothing yet; of weights that have an adapter what that adds to them."""
        adapters = [one for net in (self.unet, self.text_encoder) for one in net.modules() if isinstance(one, Adapted)]
        changes = [one.get_delta_weight(ADAPTER) for one in adapters]
        return changes or [part for name, weight in self.trained.items() for part in self._known(name, weight)]

    def _known(self, name: str, weight: Tensor) -> list[Tensor]:
        """What of a weight meant something before: of the embeddings of words those before and after the new one."""
        if name.endswith(WORD):
            return []
        return [weight[: self.token], weight[self.token + 1 :]] if name.endswith(WORDS) else [weight]

    def by_part(self) -> dict[str, list[nn.Parameter]]:
        """What learns, of the parts that do; the word is one of its own if it learns apart."""
        part = lambda name: "word" if name.endswith(WORD) else name.partition("/")[0]
        groups = {one: [weight for name, weight in self.trained.items() if part(name) == one] for one in ORDER}
        return {one: weights for one, weights in groups.items() if weights}

    def merged(self) -> tuple[CameraUNet, CLIPTextModel]:
        """Copies of the networks, with what their adapters add in their weights."""
        return _merged(self.unet), _merged(self.text_encoder)


def with_word(text: TextEncoder, word: str) -> tuple[TextEncoder, int]:
    """An encoder that has a token for `word` alone, which means nothing yet; and the token."""
    if isinstance(text.tokenizer, BytePairs):
        tokens = text.tokenizer.tokens(word)
        check_rare(word, tokens, len(text.tokenizer))
        return text, tokens[0]
    assert isinstance(text.tokenizer, WordTokenizer)
    check_new_word(word, text.tokenizer.words)
    tokenizer, model = text.tokenizer.with_word(word), text.model
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    rows = model.get_input_embeddings().weight.data
    rows[-1] = rows[:-1].mean(dim=0)
    return TextEncoder(tokenizer, model), len(rows) - 1


def _open(network: CameraUNet | CLIPTextModel, rank: int | None) -> None:
    """Lets it learn."""
    if rank is None:
        for name, weight in network.named_parameters():
            weight.requires_grad_(not name.startswith(CAMERA))
        return
    targets = ATTENTION if isinstance(network, CameraUNet) else TEXT_ATTENTION
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(targets), init_lora_weights="gaussian")
    inject_adapter_in_model(config, network, ADAPTER)


def _merged(network):
    """peft puts each weight that it adapts one level down, to `base_layer`."""
    adapted = [name for name, module in network.named_modules() if isinstance(module, Adapted)]
    twin = copy.deepcopy(network)
    for name in adapted:
        layer = twin.get_submodule(name)
        layer.merge()
        parent, _, own = name.rpartition(".")
        setattr(twin.get_submodule(parent), own, layer.get_base_layer())
    if isinstance(twin, CLIPTextModel) and isinstance(embedding := twin.get_input_embeddings(), WordEmbedding):
        twin.set_input_embeddings(embedding.merged())
    return twin.requires_grad_(False)
