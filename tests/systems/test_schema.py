from __future__ import annotations

import ast

import pytest

from systems.command import schema


def wanted(annotation: str, value: schema.Value) -> str | None:
    return schema.mismatch(ast.parse(annotation, mode="eval").body, value)


@pytest.mark.parametrize(
    ("annotation", "right", "wrong"),
    [
        ("int", 3, 3.5),
        ("int", 3, True),
        ("float", 3, "3"),
        ("bool", True, 1),
        ("str | None", None, 3),
        ("Optional[int]", None, "x"),
        ("PositiveInt", 1, 0),
        ("NonNegativeInt", 0, -1),
        ("PositiveFloat", 0.1, 0.0),
        ("Fraction", 1.0, 1.1),
        ('Literal["error", "warn"]', "warn", "wran"),
        ("Sequence[float]", [1, 2.0], [1, "x"]),
        ("tuple[float, float]", [0.9, 0.99], [0.9]),
        ("Mapping[str, float]", {"a": 1}, [1]),
        ('"int"', 1, "x"),
    ],
)
def test_annotation_tells_right_from_wrong(annotation: str, right: schema.Value, wrong: schema.Value) -> None:
    assert wanted(annotation, right) is None
    assert wanted(annotation, wrong) is not None


def test_unknown_annotation_accepts_anything() -> None:
    assert wanted("Renderer", "x") is None


def test_signature_of_a_dataclass_is_its_fields() -> None:
    found = schema.find("data.samplers.FourViews")
    assert found is not None
    parameters = schema.signature(found).parameters
    assert list(parameters)[:2] == ["size", "n_view"]
    assert not parameters["size"].required


def test_signature_follows_reexports_of_other_packages_without_importing_them() -> None:
    found = schema.find("pytorch_lightning.Trainer")
    assert found is not None
    assert "max_steps" in schema.signature(found).parameters


def test_missing_target_is_found_missing() -> None:
    assert schema.find("systems.losses.Opacty") is None
    assert schema.find("nowhere.Thing") is None
    assert "systems.losses.Opacity" in schema.names_in_module("systems.losses.Opacty")
