"""The networks of the mini prior, by name of their stage, so that a configuration reads as one line each."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, ModelMixin
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedModel

from data.errors import UserError
from data.toybox.captions import VOCABULARY, known_words
from data.toybox.grammar import KINDS
from data.whole_file import restored
from guidance.camera_unet import CameraUNet
from guidance.multiview import inflate
from guidance.tokenizer import BOS, EOS, PAD, UNKNOWN, WordTokenizer


def new_autoencoder(channels: tuple[int, ...] = (32, 64, 96), seed: int = 0) -> AutoencoderKL:
    """Images "b 3 h w" to latents "b 4 h/4 w/4"; no attention: 64 x 64 pictures need none."""
    torch.manual_seed(seed)
    return AutoencoderKL(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        layers_per_block=1,
        norm_num_groups=8,
        sample_size=64,
        mid_block_add_attention=False,
    )


def new_unet(channels: tuple[int, int] = (96, 192), text_width: int = 128, heads: int = 4, seed: int = 0) -> CameraUNet:
    """Latents "b 4 16 16"; attention at 8 x 8 only, 256 tokens for four views: at 16 x 16 it costs 60 % more time."""
    torch.manual_seed(seed)
    return CameraUNet(
        sample_size=16,
        block_out_channels=channels,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=text_width,
        attention_head_dim=heads,  # diffusers calls the number of heads so
        norm_num_groups=16,
        use_linear_projection=True,
    )


def new_tokenizer(n_kinds: int = 12) -> WordTokenizer:
    """Has tokens for the whole toybox, but knows only the words of the kinds that are trained."""
    return WordTokenizer(VOCABULARY, known=known_words(list(KINDS)[:n_kinds]))


def new_text_encoder(width: int = 128, layers: int = 2, heads: int = 4, seed: int = 0) -> CLIPTextModel:
    tokenizer = new_tokenizer()
    torch.manual_seed(seed)
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=tokenizer.length,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    return CLIPTextModel(config)


def new_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise schedule; predicts v."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def load_unet(path: str, multi_view: bool) -> CameraUNet:
    """A trained UNet, to be trained further; `multi_view` gives a 2D one its camera MLP."""
    part = _trained(path, "unet", "train_prior_2d")
    unet = CameraUNet.from_pretrained(part, torch_dtype=torch.float32, local_files_only=True)
    return inflate(unet) if multi_view and not unet.takes_camera else unet


def load_text_encoder(path: str, tokenizer: WordTokenizer | None = None) -> CLIPTextModel:
    """For the words of the tokenizer (None: of toys): each keeps the embedding that it had, wherever that stood; those
    that the stored vocabulary has not get a fresh one."""
    part = _trained(path, "text_encoder", "train_prior_2d")
    stored = WordTokenizer.load(_trained(path, "tokenizer", "train_prior_2d", "vocabulary.json"))
    model = CLIPTextModel.from_pretrained(part, dtype=torch.float32, local_files_only=True)
    wanted, before = tokenizer or new_tokenizer(), model.get_input_embeddings().weight.detach().clone()
    places = {word: place for place, word in enumerate(stored.words, UNKNOWN + 1)}
    origin = torch.tensor([*range(UNKNOWN + 1), *(places.get(word, -1) for word in wanted.words)])
    rows = model.resize_token_embeddings(len(wanted), mean_resizing=False).weight
    with torch.no_grad():
        rows[origin >= 0] = before[origin[origin >= 0]]
        fresh = rows.new_empty(int((origin < 0).sum()), rows.shape[1])
        rows[origin < 0] = fresh.normal_(std=0.02, generator=torch.Generator().manual_seed(0))
    return model


def load_autoencoder(path: str) -> AutoencoderKL:
    part = _trained(path, "vae", "train_autoencoder")
    return AutoencoderKL.from_pretrained(part, torch_dtype=torch.float32, local_files_only=True)


def _trained(path: str, part: str, experiment: str, file: str = "config.json") -> Path:
    """The folder of the part, which has such a file."""
    folder = restored(restored(Path(path)) / part)
    if not (folder / file).is_file():
        raise UserError(
            f"{folder} holds no {file}: run python launch.py experiment={experiment} first, with this seed, or say the"
            " path of what it has written"
        )
    return folder


def save_half(module: ModelMixin | PreTrainedModel, folder: Path) -> None:
    """float16 weights and a config that names no place of this machine; rounds the module that is given."""
    module.half().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for file in folder.iterdir():
        file.chmod(0o644)
