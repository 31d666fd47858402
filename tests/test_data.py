"""Drawn faces, manifests, splits, augmentation."""
import shutil
import time

import pytest
import torch
from torchvision.transforms.v2.functional import to_pil_image

from infobottle_dfd.core import InputError
from infobottle_dfd.faces.clues import CLUES, ClueFaces, render
from infobottle_dfd.faces.manifest import Face, read_faces
from infobottle_dfd.faces.pictures import augment, load_face
from infobottle_dfd.faces.splits import cut, with_splits


def test_clues_are_where_the_masks_say():
    "Render each clue on and off from one seed: what changes lies in its mask, and something does."
    draw = lambda clues: render(clues.expand(48, 4), 64, torch.Generator().manual_seed(5))
    real, masks = draw(torch.zeros(1, 4, dtype=torch.bool))
    for k, clue in enumerate(CLUES):
        change = (draw(torch.eye(4, dtype=torch.bool)[k:k + 1])[0].float() - real.float()).abs().mean(1)
        assert (change * masks[:, k]).sum() > .75 * change.sum() and (change.flatten(1).max(1).values > 0).float().mean() > .9, clue
    assert masks.flatten(2).any(-1).all() and masks.float().mean() < .25


def test_plans():
    assert not ClueFaces(512, 32, leave_out="mouth").clues[:, 1].any()
    clues = ClueFaces(2048, 16, shortcut="texture").clues[1::2].float().mean(0)
    assert clues[3] > .88 and (clues[:3] < .32).all() and (clues[:3] > .2).all()


def test_seed_decides_and_length_does_not():
    a, b, c = ClueFaces(300, 32, seed=4), ClueFaces(100, 32, seed=4), ClueFaces(100, 32, seed=5)
    assert torch.equal(a.x[:100], b.x) and torch.equal(a.masks[:100], b.masks) and not torch.equal(b.x, c.x)


def test_skin_is_skin():
    "The middle of a real forehead or cheek is never blue or green, whatever the light."
    d = ClueFaces(256, 64, seed=6)
    x = d.x[::2].float()
    cheek = d.masks[::2, 3][:, None] * 1.
    r, g, b = ((x * cheek).sum((2, 3)) / cheek.sum((2, 3))).unbind(1)
    assert (r > g).all() and (g > b).all()


def test_rendering_speed(figure):
    ClueFaces(128)
    start = time.time()
    ClueFaces(1024)
    rate = 1024 / (time.time() - start)
    figure(f"ClueFaces: {rate:.0f} images a second at 64 px (aim 500)")
    assert rate > 500 / 3


def test_no_unit_in_two_parts():
    rows = [Face(f"{i}.png", i % 2, video=f"v{i // 4}", identity=f"p{i // 8}") for i in range(160)]
    parts = cut(rows, {"val": .15, "test": .15})
    people = {name: {r.identity for r in part} for name, part in parts.items()}
    assert sum(map(len, people.values())) == 20 and set.union(*people.values()) == {r.identity for r in rows}
    assert len(people["val"]) == len(people["test"]) == 3 and sum(map(len, parts.values())) == 160


def test_val_is_cut_from_train_and_test_is_left_alone():
    rows = [Face(f"{i}.png", i % 2, "test" if i < 20 else "train", video=str(i // 2)) for i in range(100)]
    parts = with_splits(rows, "x.csv")
    assert parts["test"] == rows[:20] and parts["val"] and not set(parts["val"]) & set(parts["train"])


def test_split_folders(face_folder, tmp_path):
    for split in ("train", "val", "test"):
        (tmp_path / split).symlink_to(face_folder)
    rows = read_faces(tmp_path)
    assert {r.split for r in rows} == {"train", "val", "test"} and len(rows) == 180
    assert {r.label for r in rows if "fake" in r.path.parts} == {1}


def test_manifest_reads_what_spreadsheets_write(face_folder, tmp_path):
    "A byte-order mark, CRLF, quotes, absolute and relative paths."
    file = sorted((face_folder / "real").iterdir())[0]
    (tmp_path / "b c.png").write_bytes(file.read_bytes())
    (tmp_path / "m.csv").write_bytes(("\ufeffpath,label,split,video,identity,method\r\n" f'"{file}",0,,v,,\r\n"b c.png",1,,w,,swap').encode())
    rows = read_faces(tmp_path / "m.csv")
    assert [r.label for r in rows] == [0, 1] and rows[1].path == tmp_path / "b c.png" and rows[1].method == "swap"


def test_pictures_are_rgb_and_square(tmp_path):
    x = torch.zeros(3, 60, 40, dtype=torch.uint8)
    x[2, 10:50] = 255
    to_pil_image(x).save(tmp_path / "blue.jpg", quality=95)
    face = load_face(tmp_path / "blue.jpg", 32).float()
    assert face.shape == (3, 32, 32) and face[2].mean() > 240 and face[:2].mean() < 10      # the middle square is blue to its edges


def test_augment_is_seeded_and_per_image():
    x = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    other = torch.cat([x[:1], torch.randint(0, 256, (7, 3, 32, 32), dtype=torch.uint8)])
    torch.manual_seed(0)
    a = augment(x)
    torch.manual_seed(0)
    b = augment(x)
    torch.manual_seed(0)
    c = augment(other)
    assert torch.equal(a, b) and torch.equal(a[0], c[0]) and not torch.equal(a, x / 255)


@pytest.mark.parametrize("kwargs", [{"only": "nose"}, {"leave_out": "chin"}, {"only": "eyes", "leave_out": "eyes"}])
def test_unknown_clue(kwargs):
    with pytest.raises(InputError, match="clue"):
        ClueFaces(8, 32, **kwargs)


def test_the_cut_does_not_depend_on_how_a_path_is_written(tmp_path, face_folder, monkeypatch):
    "A manifest that mixes absolute and relative paths, called by its absolute name and by a relative one."
    from infobottle_dfd.faces.splits import leaks
    shutil.copytree(face_folder, tmp_path / "mx/own")
    files = sorted((tmp_path / "mx/own").rglob("*.png"))
    lines = "".join(f"{p if i % 2 else p.relative_to(tmp_path / 'mx')},{int(p.parent.name == 'fake')},,,,\n" for i, p in enumerate(files))
    (tmp_path / "mx/m.csv").write_text("path,label,split,video,identity,method\n" + lines)
    monkeypatch.chdir(tmp_path)
    parts = [{s: [r.path.resolve() for r in part] for s, part in with_splits(read_faces(m), m).items()} for m in ("mx/m.csv", tmp_path / "mx/m.csv")]
    assert parts[0] == parts[1]
    rows = [r._replace(split=s) for s in ("train", "test") for r in read_faces("mx/m.csv")[:2]]
    assert len(leaks(rows)["picture"]) == 2


def test_links_that_lead_in_circles(tmp_path, face_folder):
    from infobottle_dfd.faces.folders import below
    shutil.copytree(face_folder, tmp_path / "faces")
    (tmp_path / "faces/real/real").symlink_to("../real")
    (tmp_path / "faces/real/up").symlink_to("../..")
    (tmp_path / "faces/real/mate").symlink_to("../fake")                 # somebody's wish: followed, once
    assert len(below(tmp_path / "faces/fake", (".png",))) == 30 and len(below(tmp_path / "faces/real", (".png",))) == 60
