"""The networks of mini-CLIP, and the folder that they are shipped in."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig, PreTrainedTokenizerFast

from data.toybox.captions import VOCABULARY
from metrics.preprocessing import CLIP_MEAN, CLIP_STD, FILE
from systems.training.mini_networks import save_half
from systems.training_data.caption_pairs import OVERHEAD_WORD

SPECIAL = ("<pad>", "<start>", "<unknown>", "<end>")
PAD, START, UNKNOWN, END = range(4)  # END is not 2: of such a config, transformers pools the greatest token instead
LENGTH = 32  # tokens; captions have at most 24


def new_clip(
    image_size: int = 64,
    patch: int = 8,
    width: int = 192,
    layers: int = 4,
    text_width: int = 128,
    text_layers: int = 2,
    shared: int = 128,
    seed: int = 0,
) -> CLIPModel:
    """`CLIPModel` of transformers, small; shared: the width of the space that pictures and sentences share."""
    torch.manual_seed(seed)
    vision = CLIPVisionConfig(
        image_size=image_size,
        patch_size=patch,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        projection_dim=shared,
    )
    text = CLIPTextConfig(
        vocab_size=len(SPECIAL) + len(VOCABULARY) + 1,
        max_position_embeddings=LENGTH,
        hidden_size=text_width,
        intermediate_size=4 * text_width,
        num_hidden_layers=text_layers,
        num_attention_heads=text_width // 32,
        projection_dim=shared,
        pad_token_id=PAD,
        bos_token_id=START,
        eos_token_id=END,
    )
    clip = CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=shared))
    clip.set_attn_implementation("eager")  # of so few tokens, on a CPU, trained in half the time of "sdpa"
    return clip


def new_clip_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word, words as data/words.py has them; in the format of `tokenizers`, which transformers reads."""
    words = (*SPECIAL, *VOCABULARY, OVERHEAD_WORD)
    tokens = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token=SPECIAL[UNKNOWN]))
    tokens.normalizer = Lowercase()
    tokens.pre_tokenizer = Split(Regex("[a-z0-9]+|,"), behavior="removed", invert=True)
    ends = [(SPECIAL[START], START), (SPECIAL[END], END)]
    tokens.post_processor = TemplateProcessing(single=f"{SPECIAL[START]} $A {SPECIAL[END]}", special_tokens=ends)
    names = dict(zip(("pad_token", "bos_token", "unk_token", "eos_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokens, model_max_length=LENGTH, **names)


def save_clip(clip: CLIPModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """float16 weights, and all else that metrics/clip.py (and transformers) reads."""
    save_half(copy.deepcopy(clip), folder)
    tokenizer.save_pretrained(folder)
    size = clip.config.vision_config.image_size
    edges = {"height": size, "width": size}
    preprocessing = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": size},
        "crop_size": edges,
        "resample": 3,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    }
    (folder / FILE).write_text(json.dumps(preprocessing, indent=2) + "\n")
