"""Lets the CUDA build of torchvision (PyPI's) be imported beside a CPU build of torch, a common pair on laptops."""

from __future__ import annotations

import functools
from importlib.util import find_spec
from pathlib import Path

import torch


@functools.cache
def define_missing_ops() -> torch.library.Library | None:
    """Declares the two operators that torchvision annotates at import and that its library, without CUDA, lacks.

    The cache keeps the library: its operators live as long as it does. Call this before anything imports torchvision
    (pytorch_lightning, torchmetrics, transformers and diffusers do).
    """
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None or torch.version.cuda is not None or torch.version.hip is not None:
        return None
    if "+cu" not in Path(spec.origin).with_name("version.py").read_text():
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library
