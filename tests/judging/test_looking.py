"""Files become faces and people."""
import numpy as np
import pytest
import torch
from PIL import Image

from helpers import film
from infobottle_dfd.commands import Prepare
from infobottle_dfd.core import InputError
from infobottle_dfd.faces.clues import ClueFaces
from infobottle_dfd.judging.looking import gather, look


def test_a_crop_is_taken_as_it_is(tmp_path):
    one = Image.fromarray(ClueFaces(2, 64, seed=3).x[0].permute(1, 2, 0).numpy())
    one.save(tmp_path / "a.png")
    one.save(tmp_path / "b.gif", save_all=True, append_images=[one.rotate(90)])
    cut = Prepare(tmp_path, tmp_path)
    found = look(tmp_path / "a.png", 64, None, cut)
    assert torch.equal(found.x[0], torch.from_numpy(np.asarray(one).copy()).permute(2, 0, 1)) and not found.said
    assert "animation" in look(tmp_path / "b.gif", 32, None, cut).said


def test_a_photograph_gives_everybody_a_film_the_largest_where_that_is_asked_for(tmp_path):
    Image.new("RGB", (160, 120), "grey").save(tmp_path / "a.png")
    film(tmp_path / "a.mp4")
    two = lambda picture: [(0, 0, 20, 20), (100, 40, 70, 70)]
    cut = Prepare(tmp_path, tmp_path, frames=3, faces="largest")
    assert len(look(tmp_path / "a.png", 32, two, cut).x) == 2
    found = look(tmp_path / "a.mp4", 32, two, cut)
    assert len(found.x) == 3 and {s.box[0] for s in found.seen.sights} == {100} and "3 of 3 frames were not judged" in found.said


def test_one_bad_file_among_many_is_kept_with_its_reason(tmp_path):
    (tmp_path / "b.png").write_bytes(b"x")
    Image.new("RGB", (50, 50)).save(tmp_path / "a.png")
    into = lambda f: look(f, 32, None, Prepare(tmp_path, tmp_path))
    good, bad = gather([tmp_path / "a.png", tmp_path / "b.png"], into)
    assert len(good.x) == 1 and bad.seen is None and bad.said.startswith("not a readable picture")
    with pytest.raises(InputError, match="not a readable picture"):
        gather([tmp_path / "b.png"], into)
