"""From settings to data sets: drawn faces of fixed seeds, and shares that keep people whole."""
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torchvision.transforms.v2.functional import to_pil_image

from infobottle_dfd.core import InputError
from infobottle_dfd.faces.manifest import Face, read_faces, write_manifest
from infobottle_dfd.runs.config import Config
from infobottle_dfd.runs.data import make_data, some
from infobottle_dfd.runs.seal import known


def test_all_runs_are_tested_on_the_same_faces(few_faces):
    first, second = (make_data(Config(images=32, size=32, seed=seed)) for seed in (0, 1))
    assert torch.equal(first["test"].x, second["test"].x) and not torch.equal(first["train"].x, second["train"].x)
    assert set(first) == {"train", "val", "test", "eyes", "mouth", "seam", "texture"}


def test_a_share_keeps_people_whole():
    rows = [Face(Path(f"{i}.png"), i % 2, "train", f"clip {i}", f"person {i // 4}") for i in range(400)]
    used = some(rows, Config(data="x.csv", share=.2))
    people = {r.identity for r in used}
    assert 40 <= len(used) <= 160 and len(used) == sum(r.identity in people for r in rows)


def test_swaps_that_tie_everybody_keep_their_people():
    "A ring of swaps is cut by films, and every row still says whose face it is."
    rows = [Face(Path(f"{i}.png"), i % 2, "train", f"clip {i}", f"p{i // 2}" + f"+p{(i // 2 + 1) % 50}" * (i % 2)) for i in range(100)]
    used = some(rows, Config(data="x.csv", share=.2))
    assert 10 <= len(used) <= 40 and {*used} <= {*rows} and all(r.identity for r in used)


def test_a_share_without_a_class_is_refused():
    rows = [Face(Path(f"{i}.png"), i % 2, "train", "one film") for i in range(40)]
    with pytest.raises(InputError, match="raise --share"):
        some(rows, Config(data="x.csv", share=.2))


def marked(folder, tmp_path, fill):
    "A manifest of some faces, with a mask for every fake; a pixel of each is as light as asked."
    rows = read_faces(folder)
    for k, r in enumerate(rows):
        if r.label:
            mask = torch.zeros(1, 48, 48, dtype=torch.uint8)
            mask[0, 10:20, 10:20] = fill
            to_pil_image(mask).save(tmp_path / f"{k}.png")
            rows[k] = r._replace(mask=str(tmp_path / f"{k}.png"))
    write_manifest(rows, tmp_path / "m.csv")
    return Config(data=str(tmp_path / "m.csv"), size=32, mode="places")


def test_places_ask_for_masks(face_folder, tmp_path):
    "Faces with masks come marked; without one mask, or with black ones alone, they are refused; other modes never look."
    x, y, where = make_data(marked(face_folder, tmp_path, 255), True)["train"][[0, 1, 2, 3]]
    assert x.shape == (4, 3, 32, 32) and torch.equal(where.flatten(1).any(1).long(), y)
    for cfg in (Config(data=str(face_folder), size=32, mode="places"), marked(face_folder, tmp_path, 0)):
        with pytest.raises(InputError, match="not one fake to train on has a mask"):
            make_data(cfg, True)
        assert len(make_data(replace(cfg, mode="calm"))["train"][[0]]) == 2


def test_masks_are_sealed(face_folder, tmp_path):
    "A mask exchanged under its name is another data set, for a run that reads it."
    cfg, kept = marked(face_folder, tmp_path, 255), {}
    for mode in ("places", "calm"):
        kept[mode] = known(cfg, make_data(replace(cfg, mode=mode), mode == "places"))
    mask = next(tmp_path.glob("[0-9]*.png"))
    to_pil_image(torch.full((1, 48, 48), 255, dtype=torch.uint8)).save(mask)
    for mode in kept:
        now = known(cfg, make_data(replace(cfg, mode=mode), mode == "places"))
        assert (now["pixels"] != kept[mode]["pixels"]) == (mode == "places") and now["listing"] == kept[mode]["listing"]
