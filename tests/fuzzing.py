"""Malformed command lines, for test_fuzz.py: by construction none of them can be right, whatever the program says."""

from __future__ import annotations

import random
import string

KEYS = [
    "prompt", "seed", "device", "radius", "n_features", "name", "output", "init_from", "resume", "folder",
    "progress", "checkpoint", "report", "prior", "guidance", "system", "data", "trainer", "material",
    "background", "export", "metric", "prompt_processor", "renderer", "geometry", "quality", "sampler",
]  # fmt: skip
DEEP = [
    "trainer.max_steps", "guidance.scale", "guidance.rescale", "system.betas",
    "system.learning_rates.geometry.encoding", "report.every", "report.size", "report.fov",
    "geometry.encoding.n_levels", "renderer.n_samples", "data.size", "export.max_faces", "progress.row_every",
    "system.losses.opacity.weight", "checkpoint.every_seconds", "prompt_processor.suffix", "metric.clip",
]  # fmt: skip
WHOLE = [
    "seed", "trainer.max_steps", "report.every", "report.size", "report.n_frames", "progress.row_every",
    "export.max_faces",
]  # fmt: skip
NUMBERS = [
    *WHOLE,
    "progress.every_seconds",
    "checkpoint.every_seconds",
    "report.elevation",
    "system.losses.opacity.weight",
]
GROUPS = [
    "renderer",
    "guidance",
    "background",
    "material",
    "data",
    "quality",
    "sampler",
    "prior",
    "prompt_processor",
    "job",
    "system",
    "export",
    "logger",
]


def word(rng: random.Random, length: int = 8) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, length)))


def unknown_key(rng: random.Random) -> list[str]:
    """One letter more than a key has: `x`, which no key ends with."""
    key = rng.choice(DEEP + KEYS)
    where = key.rfind(".") + 1
    at = rng.randint(where, len(key))
    wrong = key[:at] + "xq" + key[at:] if rng.random() < 0.7 else f"{key}.{word(rng)}xq"
    return [f"{wrong}={rng.choice(['1', 'dog', '0.5', 'null', '[1]'])}"]


def wrong_type(rng: random.Random) -> list[str]:
    value = rng.choice(["heavy", "'1'", "[1]", "{a:1}", "true", "null", "ß", "1_0x", "''"])
    return [f"{rng.choice(NUMBERS)}={value}"]


def out_of_range(rng: random.Random) -> list[str]:
    value = rng.choice(["-1", "-1000000", "0.5", "1e30", "-9" * 30, "nan", "inf", "-inf"])
    return [f"{rng.choice(WHOLE)}={value}"]


def wrong_option(rng: random.Random) -> list[str]:
    option = rng.choice([word(rng) + "xq", "../../conf/config", "/etc/passwd", "ß", "0", "[a]", "null.yaml", "a/b/c"])
    return [f"{rng.choice(GROUPS)}={option}"]


def broken_quotes(rng: random.Random) -> list[str]:
    """An opening that nothing closes, or nothing that could be a key."""
    opened = rng.choice(
        ["'", '"', "[", "{", "{a:", "[1,", "[[1]", "(", "f(", "choice(1", "'a'b", "a]", "a}", "${", "${a"]
    )
    broken = f"{rng.choice(KEYS[1:] + DEEP)}={opened}{word(rng) if opened[-1] not in ']}' else ''}"
    return [
        rng.choice([broken, broken, f"={word(rng)}", f"{word(rng)} {word(rng)}", f"+={word(rng)}", f"a..b={word(rng)}"])
    ]


def several_values(rng: random.Random) -> list[str]:
    values = rng.choice(["0,1", "1,2,3", "range(3)", "range(0,4)", "choice(1,2)", "a,b", "interval(0,1)"])
    return [f"{rng.choice(['seed', 'trainer.max_steps', 'name', 'radius', 'guidance.scale'])}={values}"]


def broken_link(rng: random.Random) -> list[str]:
    nowhere = word(rng) + "xq"
    links = [
        f"${{{nowhere}}}",
        f"${{{nowhere}.a}}",
        f"${{oc.env:{nowhere.upper()}}}",
        f"${{{nowhere}:1}}",
        "${seed.a.b}",
    ]
    key = rng.choice(["seed", "radius", "guidance.scale", "trainer.max_steps", "report.size", "name", "output"])
    return [f"{key}={rng.choice([*links, f'${{{key}}}'])}"]


def missing_file(rng: random.Random) -> list[str]:
    path = rng.choice(["/nowhere/", "no_", "../../../../no_", "ß/", "a" * 300, "b/" * 30]) + word(rng) + "xq"
    return rng.choice(
        [
            [f"prior.path={path}.pt"],
            [f"resume={path}"],
            [f"init_from={path}"],
            ["experiment=export", f"run={path}"],
            ["experiment=count_fronts", f"runs={path}"],
            ["renderer=texture", f"geometry.path={path}.glb"],
            ["guidance=dreambooth", f"subject={path}"],
            [f"metric.clip.path={path}"],
        ]
    )


def strange_prompt(rng: random.Random) -> list[str]:
    """Words that no prior of toys has learned, letters of no text, more of them than a sentence has, or none."""
    strange = [
        chr(rng.randint(0, 8)),
        "\x1b[2J",
        "\udc80\udcff",
        "\x7f",
        "a " * 2000,
        "猫が" * 5,
        word(rng) + "xq",
        "${x}",
    ]
    text = f"a {rng.choice(strange)} dog"
    return ["~prompt" if rng.random() < 0.1 else f"prompt={rng.choice([text, text, text, '', '   '])}"]


def deleted(rng: random.Random) -> list[str]:
    return [
        f"~{rng.choice([word(rng) + 'xq', 'trainer.xq', 'guidance.xq.xq', 'name', 'output', 'prior.path', 'radius'])}"
    ]


def not_a_class(rng: random.Random) -> list[str]:
    """What no package of ours or of others defines."""
    name = rng.choice(
        ["models.Xq", "os.xq", "xq", "a..b", "", ".", "1", "guidance.mv_sds.", "[1]", "{}", "__main__.xq"]
    )
    return [f"{rng.choice(['guidance', 'data', 'material', 'system', 'job', 'geometry'])}._target_={name or 'null'}"]


KINDS = {
    unknown_key: 14,
    wrong_type: 9,
    out_of_range: 9,
    wrong_option: 50,
    broken_quotes: 59,
    several_values: 24,
    broken_link: 10,
    missing_file: 13,
    strange_prompt: 13,
    deleted: 8,
    not_a_class: 8,
}


def command_lines(seed: int) -> list[list[str]]:
    """No two alike."""
    rng = random.Random(seed)
    found: dict[tuple[str, ...], None] = {}
    for kind, count in KINDS.items():
        enough = len(found) + count
        while len(found) < enough:
            found[tuple(kind(rng))] = None
    return [list(words) for words in found]
