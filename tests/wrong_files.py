"""Malformed files, for test_fuzz.py: configurations of runs, checkpoints, weights and meshes. None can be right."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
import yaml  # type: ignore[import-untyped]

Case = tuple[str, list[str]]  # a name, and a command line
PARTS = ("scene", "renderer", "schedules")
TARGETS = [
    "os.system", "subprocess.Popen", "builtins.exec", "builtins.eval", "shutil.rmtree",
    "hydra.utils.instantiate", "torch.load", "models.unwrapping.subprocess.run",
    "models.shapes.read_triangles", "systems.schedules.math.exp", "systems.fit.Fit",
    "renderers.rasterizing.torch.load", "data.tars.write_tar", "models..scene.Scene", "models.Xq",
    "pathlib.Path.touch", "__main__.launch", "guidance.weights.opening.open_weights",
    "systems.command.run_folder.RunFolder", "data.whole_file.write_text", "systems.evaluation.child_process.start",
]  # fmt: skip
LINKS = [("\\x24", "{"), ("\\u0024", "{"), ("$", "\\x7b"), ("\\x24", "\\u007b")]  # other spellings of ${
TEXTS = [
    b"", b"\xff\xfe\x00", b"a: [unclosed", b"- 1\n- 2", b"just words", b"a: b: c", b"a: &x [1]\nb: *x\n", b"\x00" * 40,
    b"a: !!python/object/apply:os.system ['touch canary']", b"a: !!binary x", b"a: 1\na: 2", b"%YAML 9.9\n---\n",
    b"[" * 5000 + b"]" * 5000, b"prompt: !!bool zz", b"prompt: !!timestamp zz", b"seed: 0x_",
    b"a: " + b"9" * 5000, b"? [1]\n: 2", b"prompt: ${oc.env:HOME}", b"x: " + b"y" * 2**21, b"1: 2", b"~",
    b"a: &a [x,x]\n" + b"".join(b"b%d: &b%d [*a,*a]\n" % (i, i) for i in range(20)),
]  # fmt: skip


def wrong_configs(seed: int, right: str, canary: Path) -> Iterator[bytes]:
    """Whole files that are none, and a right one with one thing changed."""
    rng = random.Random(seed)
    yield from TEXTS
    for target in TARGETS:
        yield _changed(right, rng, lambda node, key, target=target: node.update({key: call(target, canary)}))
    for dollar, brace in LINKS:
        evil = yaml.safe_load(right) | {"evil": call("data.whole_file.write_text", canary)}
        found = _changed(yaml.dump(evil), rng, lambda node, key: node.update({key: "LINK"})).decode()
        yield found.replace("LINK", f'"{dollar}{brace}evil}}"').encode()
    for wrong in ("heavy", [1], {"a": 1}):
        for _ in range(2):
            yield _with_number(right, rng, wrong)
    for key, value in (
        ("prompt", call("os.system", canary)),
        ("prompt", [1]),
        ("seed", "0"),
        ("seed", -1),
        ("seed", None),
    ):
        yield yaml.dump(yaml.safe_load(right) | {key: value}).encode()
    for key in ("scene", "renderer", "schedules", "learning_rates", "max_steps"):
        config = yaml.safe_load(right)
        del config["system"][key]
        yield yaml.dump(config).encode()
    yield (right + "\n  }{").encode()
    yield right.encode()[: len(right) // 2] + b"\n\t- : ["


def call(target: str, canary: Path) -> dict[str, object]:
    """What makes that file, if it is called."""
    path = {"_target_": "pathlib.Path", "_args_": [str(canary)]}
    given = {
        "data.whole_file.write_text": {"path": path, "text": "x"},
        "systems.evaluation.child_process.start": {"command": ["touch", str(canary)], "log": path},
    }
    return {"_target_": target} | given.get(target, {"_args_": [f"touch {canary}"]})


def change(file: Path, key: str, value: object) -> None:
    """One value of a configuration, at its dotted key."""
    config = node = yaml.safe_load(file.read_text())
    *parents, last = key.split(".")
    for name in parents:
        node = node[name]
    node[last] = value
    file.write_text(yaml.dump(config, sort_keys=False))


def _tables(node: object) -> list[dict]:
    """Those that build something."""
    if not isinstance(node, dict):
        return []
    return [node] * ("_target_" in node) + [found for child in node.values() for found in _tables(child)]


def _changed(right: str, rng: random.Random, change: object) -> bytes:
    config = yaml.safe_load(right)
    node = rng.choice([table for part in PARTS for table in _tables(config["system"][part])])
    key = rng.choice([key for key in node if key != "_target_"] or ["more"])
    assert callable(change)
    change(node, key)
    return yaml.dump(config).encode()


def _with_number(right: str, rng: random.Random, wrong: object) -> bytes:
    """Something else where a number was."""
    config = yaml.safe_load(right)
    numbers = [
        (table, key)
        for part in PARTS
        for table in _tables(config["system"][part])
        for key, value in table.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    table, key = rng.choice(numbers)
    table[key] = wrong
    return yaml.dump(config).encode()


class _Malicious:
    """What unpickling would run."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return (eval, (f"open({str(self.canary)!r}, 'w')",))


def wrong_files(seed: int, run: Path, folder: Path) -> Iterator[Case]:
    """run: the folder of a right one."""
    rng = random.Random(seed)
    right = (run / "checkpoints" / "last.ckpt").read_bytes()
    for name, content in _states(rng, right, folder / "canary"):
        made = _write(folder / f"run-{name}" / "checkpoints" / "last.ckpt", content)
        (made.parent.parent / "config.yaml").write_text((run / "config.yaml").read_text())
        yield name, ["experiment=export", f"run={made.parent.parent}"]
    plain = ["prompt=a red dog", "background=solid", "~background.color"]  # which the type checker of tests reads
    for name, content in _programs(folder / "canary"):
        yield name, [*plain, f"prior.path={_write(folder / f'{name}.pt', content)}"]
    yield "malicious state", _continued(folder)
    for name, content in _damaged(rng, right):
        yield name, ["prompt=a red dog", f"resume={_write(folder / f'{name}.ckpt', content)}"]
    for name, content in _meshes(rng):
        file = _write(folder / name, content)
        yield name, [*plain, "renderer=texture", f"geometry.path={file}"]


def _continued(folder: Path) -> list[str]:
    """A whole run, up to where its state is read: with a prior that is one, and with no pairs, as above."""
    content = _saved({"state_dict": _Malicious(folder / "canary"), "global_step": 7, "loops": {}, "callbacks": {}})
    small = ["geometry.hidden=8", "geometry.encoding.n_levels=2", "geometry.encoding.log2_table_size=8"]
    small += ["geometry.encoding.backend=torch", "renderer.occupancy.resolution=8", "device=cpu"]
    plain = ["background=solid", "~background.color", "~data.elevation", "~data.fov", "~system.betas"]
    file = _write(folder / "malicious.ckpt", content)
    return ["prompt=a red dog", "prior.path=assets/mini", *small, *plain, f"resume={file}"]


def _programs(canary: Path) -> Iterator[tuple[str, bytes]]:
    """What runs, or fills the memory, if it is believed; and whole files of something else."""
    yield "malicious", _saved({"state_dict": _Malicious(canary), "global_step": 7})
    yield "malicious-pickle", pickle.dumps(_Malicious(canary))
    yield "list", _saved([1, 2])
    yield "other", _saved({"x": torch.ones(2)})
    yield "other-zip", _zipped("readme.txt", b"hello")
    yield "compressed", _zipped("archive/data.pkl", bytes(2**20), zipfile.ZIP_DEFLATED)


def _states(rng: random.Random, right: bytes, canary: Path) -> Iterator[tuple[str, bytes]]:
    """What is no state of that scene."""
    yield "malicious", _saved({"state_dict": _Malicious(canary), "global_step": 7})
    yield from _damaged(rng, right)
    state = torch.load(io.BytesIO(right), weights_only=True)
    name = rng.choice([name for name, tensor in state["state_dict"].items() if tensor.numel() > 1])
    yield "shape", _saved(state | {"state_dict": state["state_dict"] | {name: torch.ones(rng.randint(100, 200), 3, 1)}})
    yield "step", _saved(state | {"global_step": "seven"})


def _damaged(rng: random.Random, right: bytes) -> Iterator[tuple[str, bytes]]:
    """Cut, and with bits of its contents changed, which their checksums tell."""
    for number in range(2):
        yield f"cut-{number}", right[: rng.randrange(len(right))]
    for number in range(2):
        yield f"flipped-{number}", _flipped(rng, right)
    yield "empty", b""
    yield "text", b"not a checkpoint, but many words"
    yield "noise", rng.randbytes(300)


def _flipped(rng: random.Random, right: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(right)) as archive:
        member = rng.choice([one for one in archive.infolist() if one.file_size])
    name, extra = struct.unpack("<HH", right[member.header_offset + 26 : member.header_offset + 30])
    at = member.header_offset + 30 + name + extra + rng.randrange(member.file_size)
    return right[:at] + bytes([right[at] ^ 1 << rng.randrange(8)]) + right[at + 1 :]


def _meshes(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Of no triangle."""
    described = json.dumps(
        {"asset": {"version": "2.0"}, "accessors": [{"count": 10**12, "componentType": 5126}]}
    ).encode()
    described += b" " * (-len(described) % 4)
    head = struct.pack("<4sII", b"glTF", 2, 20 + len(described)) + struct.pack("<I4s", len(described), b"JSON")
    for ending in ("glb", "obj"):
        yield f"noise.{ending}", rng.randbytes(rng.randint(1, 400))
    yield "bomb.glb", head + described


def _saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _zipped(name: str, content: bytes, how: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def _write(file: Path, content: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file
