"""Places of a mask are counted as they lie, and the command writes what a page can read."""
import json

import numpy as np
import pytest
from PIL import Image

from infobottle_dfd.core import InputError
from infobottle_dfd.experiments.differences import Differences, mask_of, marked, places, run
from infobottle_dfd.faces.clues import ClueFaces
from infobottle_dfd.faces.stills import decode


def test_places():
    "A place is forged above a share of its pixels; any pixel is a share of none."
    mask = np.zeros((1, 8, 8), bool)
    mask[0, :2, :2] = True                                      # a quarter of the first of four places
    assert places(mask, 2, 0).astype(int).tolist() == [[[1, 0], [0, 0]]] and not places(mask, 2, .25).any() and places(mask, 2, .24).sum() == 1
    assert marked(np.ones((2, 8, 8), bool), 4, .5) == {"all": 1., "rim": 1., "middle": 1.}
    mask[0] = False
    mask[0, 3:5, 3:5] = True
    assert marked(mask, 8, 0) == {"all": round(4 / 64, 3), "rim": 0., "middle": .25}


@pytest.fixture
def pairs(tmp_path):
    "Twelve faces, each beside a copy with an inverted square; as a list, too."
    lines = ["split,real,fake,identity"]
    for k, real in enumerate(ClueFaces(12, 56, seed=2).x.permute(0, 2, 3, 1).numpy()):
        fake = real.copy()
        fake[20:40, 20:40] = 255 - fake[20:40, 20:40]
        for kind, x in (("real", real), ("fake", fake)):
            Image.fromarray(x).save(tmp_path / f"{kind}{k}.png")
        lines.append(f"train,real{k}.png,fake{k}.png,{k // 2}")
    (tmp_path / "pairs.csv").write_text("\n".join(lines))


def test_a_mask_is_where_two_crops_differ_and_not_from_another_scene(pairs, tmp_path):
    "Drawn anew whatever was there before; another person's picture gives none."
    (out := tmp_path / "masks/fake3.png").parent.mkdir()
    out.write_text("of another time")
    assert mask_of(tmp_path / "fake3.png", tmp_path / "real3.png", out) == str(out)
    mask = decode(out).min(-1) > 127
    assert mask[22:38, 22:38].all() and not mask[:16].any() and not mask[44:].any()
    assert mask_of(tmp_path / "fake5.png", tmp_path / "real6.png", tmp_path / "no.png") == "" and not (tmp_path / "no.png").exists()


def test_the_command(pairs, tmp_path):
    "Pairs in, one JSON out, with command and versions; too few pairs are refused."
    run(Differences(tmp_path / "pairs.csv", count=10, out=tmp_path / "out.json"))
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["command"].endswith("experiments.differences --split train --count 10 --seed 0") and found["mean"][4][4] > .5 and found["mean"][0] == [0] * 8
    assert all(r["rim"] == 0 for r in found["rules"]) and len(found["rules"]) == 72
    right, same, other = found["alike"].values()
    assert len(right) == len(other) == 10 and 0 < len(same) <= 10 and min(right) == 1 > max(other)
    with pytest.raises(InputError, match="12 pairs of train; lower --count"):
        run(Differences(tmp_path / "pairs.csv", out=tmp_path / "out.json"))
    (tmp_path / "other.csv").write_text("fake,real\na.png,b.png\n")
    with pytest.raises(InputError, match="no CSV in UTF-8 with rows of split, fake, real"):
        run(Differences(tmp_path / "other.csv", out=tmp_path / "out.json"))
