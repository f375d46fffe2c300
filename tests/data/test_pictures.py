from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data.errors import UserError
from data.pictures import CaptionedPictures, read_picture


def flag(width: int = 24, height: int = 8) -> Image.Image:
    """Black, white, black, from left to right; the white is in the middle square."""
    image = Image.new("RGB", (width, height), "black")
    image.paste("white", ((width - height) // 2, 0, (width + height) // 2, height))
    return image


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def laion(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_tars_in_the_layout_of_laion_are_read(tmp_path: Path) -> None:
    details = json.dumps({"caption": "from the table", "width": 24}).encode()
    laion(
        tmp_path / "00000.tar",
        {
            "000000000.jpg": encoded(Image.new("RGB", (9, 9), "red"), "JPEG"),
            "000000000.txt": b" a red square\n",
            "000000000.json": details,
            "000000001.webp": encoded(flag(), "WEBP"),
            "000000001.json": details,
            "000000002.jpg": encoded(flag(), "JPEG"),
            "000000003.txt": b"a picture that is not there",
        },
    )
    laion(tmp_path / "00001.tar", {"dir/a.b.png": b"", "dir/c.png": encoded(flag()), "dir/c.txt": b"third"})
    pictures = CaptionedPictures(str(tmp_path), size=4)
    assert [pictures[i].caption for i in range(len(pictures))] == ["a red square", "from the table", "third"]
    assert pictures[0].image.shape == (4, 4, 3) and pictures[0].image[2, 2].tolist()[0] > 250
    assert pictures[2].source.endswith("00001.tar:dir/c.png")
    assert len(CaptionedPictures(str(tmp_path / "00001.tar"))) == 1


@pytest.mark.parametrize("table", ['["a flag"]', '{"caption": null}', '{"caption": " "}', '{"text": "a"}', "3"])
def test_a_picture_without_a_caption_is_told(table: str, tmp_path: Path) -> None:
    path = laion(tmp_path / "0.tar", {"a.png": encoded(flag()), "a.json": table.encode()})
    with pytest.raises(UserError, match=r"0.tar:a.png cannot be read \(.*\); leave it out"):
        CaptionedPictures(str(path))[0]


def test_sixteen_bits_are_as_bright_as_eight(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 0x8040, np.uint16)).save(tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png", 4) == 0x80).all()


def test_odd_blanks_end_no_row(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(flag()))
    row = json.dumps({"file": "a.png", "caption": "a\u2028flag"}, ensure_ascii=False)
    (tmp_path / "captions.jsonl").write_text(row, encoding="utf-8")
    assert CaptionedPictures(str(tmp_path)).caption(0) == "a\u2028flag"


def test_the_middle_square_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(flag()))
    (tmp_path / "a.txt").write_text("white")
    (tmp_path / "no_caption.png").write_bytes(encoded(flag()))
    pictures = CaptionedPictures(str(tmp_path), size=8)
    assert len(pictures) == 1 and (pictures[0].image == 255).all()


def test_a_table_names_pictures_and_captions(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "sub/b.png"):
        (tmp_path / name).write_bytes(encoded(flag()))
    rows = [{"file": "sub/b.png", "caption": "b"}, {"file_name": "a.png", "text": "a"}]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pictures = CaptionedPictures(str(tmp_path))
    assert [pictures[i].caption for i in range(2)] == ["b", "a"]


def test_pictures_are_upright_and_transparent_ones_over_white(tmp_path: Path) -> None:
    turned = flag(8, 8)
    turned.paste("red", (0, 0, 8, 4))
    exif = turned.getexif()
    exif[0x0112] = 3  # upside down
    turned.save(tmp_path / "a.jpg", exif=exif, quality=100)
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "b.png")
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name)
    upside, clear = (CaptionedPictures(str(tmp_path), size=8)[i].image for i in range(2))
    assert upside[6, 2, 0] > 200 and upside[6, 2, 1] < 80 and upside[1, 4].min() > 200
    assert torch.equal(clear, torch.full_like(clear, 255))


def test_what_cannot_be_read_is_told_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.path=/nowhere is not there"):
        CaptionedPictures("/nowhere", key="data.path")
    with pytest.raises(UserError, match="holds no picture with a caption"):
        CaptionedPictures(str(tmp_path))
    (tmp_path / "a.png").write_bytes(encoded(flag())[:60])
    (tmp_path / "a.txt").write_text("half a picture")
    with pytest.raises(UserError, match=r"a.png cannot be read .*; leave it out"):
        CaptionedPictures(str(tmp_path))[0]
    for row, message in (("[]", "cannot be read"), ('{"file": "a.png"}', "no caption"), ("{", "cannot be read")):
        (tmp_path / "captions.jsonl").write_text(row)
        with pytest.raises(UserError, match=f"captions.jsonl, line 1.*{message}"):
            CaptionedPictures(str(tmp_path))
    (tmp_path / "captions.jsonl").write_text('{"file": "b.png", "caption": "b"}')
    with pytest.raises(UserError, match=r"line 1 names b.png, which is not there"):
        CaptionedPictures(str(tmp_path))


def test_a_list_names_no_picture_outside_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(encoded(flag()))
    (tmp_path / "mine").mkdir()
    for file in ("../secret.png", str(tmp_path / "secret.png")):
        (tmp_path / "mine" / "captions.jsonl").write_text(json.dumps({"file": file, "caption": "a"}))
        with pytest.raises(UserError, match=r"line 1 names .*secret\.png, which is not in the folder"):
            CaptionedPictures(str(tmp_path / "mine"))


def test_what_runs_another_program_to_be_read_is_no_picture(tmp_path: Path) -> None:
    """Pillow would give PostScript to Ghostscript, whatever its name."""
    (tmp_path / "a.png").write_bytes(encoded(flag(), "EPS"))
    (tmp_path / "a.txt").write_text("a flag")
    with pytest.raises(UserError, match=r"a\.png cannot be read \(it is no picture\)"):
        CaptionedPictures(str(tmp_path))[0]


@pytest.mark.parametrize("link", ["a.png", "a.txt"])
def test_a_link_out_of_the_folder_is_not_read(tmp_path: Path, link: str) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name, content in (("a.png", encoded(flag())), ("a.txt", b"a flag")):
        (tmp_path / name).write_bytes(content)
        (mine / name).symlink_to(tmp_path / name) if name == link else (mine / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"path=.*{link} is a link out of the folder; put the file in its place"):
        CaptionedPictures(str(mine))


def test_a_list_names_no_picture_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(encoded(flag()))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "out").symlink_to(tmp_path)
    (tmp_path / "mine" / "captions.jsonl").write_text('{"file": "out/secret.png", "caption": "a"}')
    with pytest.raises(UserError, match=r"names out/secret\.png, which is not in the folder"):
        CaptionedPictures(str(tmp_path / "mine"))


@pytest.mark.parametrize("name", ["a" * 5000, "", ".", "a\\u0000b.png", "\\ud800"])
def test_a_name_that_no_file_can_have_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "captions.jsonl").write_text(f'{{"file": "{name}", "caption": "a"}}')
    with pytest.raises(UserError, match=r"line 1 names .*, which is not (there|in the folder)"):
        CaptionedPictures(str(tmp_path))
