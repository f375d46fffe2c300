"""An asset beside the render of the scene that it was made from: what came out, and how much was lost on the way."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8

from data.cameras import Cameras
from metrics.ground_truth import psnr, silhouette_iou
from models.asset import Asset
from models.scene import Scene
from renderers.asset_view import Unlit, view
from renderers.output import Renderer
from renderers.rasterizing import choose_raster_kernels
from systems.reports.pictures import to_bytes


@dataclass(frozen=True)
class AssetViews:
    images: list[UInt8[np.ndarray, "h w 3"]]
    metrics: dict[str, float | int]  # as metrics.json has them


@torch.no_grad()
def asset_views(asset: Asset, scene: Scene, renderer: Renderer, cameras: Cameras) -> AssetViews:
    """One by one to bound the memory. Colours are compared without light, which is the viewer's affair, not the
    asset's: for a material without light these are the scene's renders."""
    kernels = choose_raster_kernels("auto").of(asset.vertices)
    unlit = Scene(scene.geometry, Unlit(scene.material), scene.background)
    images, decibels, overlaps = [], [], []
    for index in range(len(cameras)):
        camera = cameras[index : index + 1].to(asset.vertices.device)
        seen, wanted = view(asset, scene, camera, kernels), renderer(unlit, camera)
        images.append(to_bytes(seen.rgb[0]))
        decibels.append(psnr(seen.rgb, wanted.rgb))
        overlaps.append(silhouette_iou(seen.opacity, wanted.opacity))
    surface, _ = asset.welded
    metrics = {
        "mesh_psnr": round(statistics.fmean(decibels), 3),
        "mesh_iou": round(statistics.fmean(overlaps), 4),
        "mesh_faces": len(surface.faces),
        "mesh_vertices": len(surface.vertices),
    }
    return AssetViews(images, metrics)
