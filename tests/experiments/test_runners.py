"""Every experiment is a command; what it cannot do it says in a sentence before any work."""
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from PIL import Image

from infobottle_dfd.core import InputError
from infobottle_dfd.experiments import ablations, benchmarks, maps, real_faces
from infobottle_dfd.experiments.cells import read
from infobottle_dfd.faces.manifest import read_faces
from infobottle_dfd.runs.config import Config

SOURCES = {p.stem: p.read_text() for p in (ROOT / "infobottle_dfd/experiments").glob("[!_]*.py")}
RUNNERS = sorted(name for name, text in SOURCES.items() if "__main__" in text)


def command(monkeypatch, name, *words):
    "`python -m infobottle_dfd.experiments.NAME`, in this process; its exit status."
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        runpy.run_module(f"infobottle_dfd.experiments.{name}", run_name="__main__", alter_sys=True)
    return end.value.code


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
@pytest.mark.parametrize("name", RUNNERS)
def test_runner_has_help(name, monkeypatch, capsys):
    "Under its own name, with a place for what it finds; an option that there is not is refused."
    assert command(monkeypatch, name, "--help") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: python -m infobottle_dfd.experiments.{name} [-h]") and "--out" in said
    assert command(monkeypatch, name, "--nowhere") == 2


def test_one_main_serves_all():
    assert len(RUNNERS) >= 9 and [name for name, text in SOURCES.items() if "def main(" in text or "tyro.cli(" in text] == ["cells"]


def test_bad_input_is_one_sentence(tmp_path):
    done = subprocess.run([sys.executable, "-m", "infobottle_dfd.experiments.real_faces", tmp_path], capture_output=True, text=True)
    assert done.returncode == 2 and "DATA must hold it" in done.stderr and len(done.stderr.splitlines()) == 1


def test_unknown_arms_and_splits():
    with pytest.raises(InputError, match="unknown 'clam'"):
        ablations.run(ablations.Ablations(arms=("clam",)))
    with pytest.raises(InputError, match="unknown 'nose'"):
        ablations.run(ablations.Ablations(splits=("nose",)))
    with pytest.raises(InputError, match="unknown 'clam'"):
        maps.run(maps.Maps(arms=("clam",)))
    with pytest.raises(InputError, match="unknown 'clam'"):
        real_faces.run(real_faces.RealFaces(".", arms=("clam",)))


def test_two_sets_become_manifests(tmp_path):
    for name, text in (("dfdc_pairs/pairs.csv", "real,fake,split,identity\nr/a.jpg,f/b.jpg,test,7\n"),
                       ("ciplab_256/index.csv", "file,label,regions\n1.jpg,real,\n2.jpg,fake,11\n")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    for name in ("dfdc_pairs/r/a.jpg", "dfdc_pairs/f/b.jpg", "ciplab_256/1.jpg", "ciplab_256/2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    pairs, other = map(read_faces, real_faces.manifests(tmp_path, tmp_path / "work"))
    assert [(r.label, r.split, r.video, r.identity) for r in pairs] == [(0, "test", "a", "7"), (1, "test", "b", "7")]
    assert [(r.label, r.method) for r in other] == [(0, ""), (1, "0011")]


def test_the_masks_of_pairs_are_made_where_they_are_asked_for(tmp_path):
    "The fake's, beside the manifest; without the word the column is empty and nothing is drawn."
    (tmp_path / "dfdc_pairs").mkdir(), (tmp_path / "ciplab_256").mkdir()
    (tmp_path / "dfdc_pairs/pairs.csv").write_text("real,fake,split,identity\na.png,b.png,test,7\n")
    (tmp_path / "ciplab_256/index.csv").write_text("file,label,regions\n1.jpg,real,\n")
    picture = np.random.default_rng(0).integers(0, 255, (56, 56, 3), np.uint8)
    for name in "ab":
        Image.fromarray(picture).save(tmp_path / f"dfdc_pairs/{name}.png")
        picture[20:30, 20:30] //= 3
    plain, marked = (read_faces(real_faces.manifests(tmp_path, tmp_path / "work", m)[0]) for m in (False, True))
    assert [r.mask for r in plain] == ["", ""] and marked[0].mask == ""
    assert Path(marked[1].mask) == tmp_path / "work/masks/b.png" and Path(marked[1].mask).exists()


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_an_arm_that_there_is_not_is_refused_at_the_door(monkeypatch, capsys):
    assert command(monkeypatch, "audits", "--arms", "many") == 2 and "invalid choice 'many'" in capsys.readouterr().err


def test_a_row_of_the_benchmarks(tmp_path, face_folder, monkeypatch, without_audit):
    "Trained on one set, tested on its test split and on what it has not seen of the other; a finished cell is left alone, a set that is not there refused, and one that cannot be judged before anything is trained."
    for name, step in (("ff", 1), ("dfdc", 2)):
        files = sorted(face_folder.rglob("*.png"))[::step]
        (tmp_path / "faces" / name).mkdir(parents=True)
        lines = [f"{p},{int(p.parent.name == 'fake')},,{name}{p.parent.name}{i // 2},," for i, p in enumerate(files)]
        (tmp_path / "faces" / name / "manifest.csv").write_text("\n".join(["path,label,split,video,identity,method", *lines]) + "\n")
    monkeypatch.setitem(benchmarks.PRESETS, "toy", Config(size=32, n=2, d=8, epochs=1, batch=8))
    monkeypatch.chdir(tmp_path)
    asked = benchmarks.Benchmarks(tmp_path / "faces", ("ff",), (3,), "calm", "toy", "cpu", 0, tmp_path / "out")
    benchmarks.run(asked)
    made, = read(tmp_path / "out")
    assert (made["arm"], made["seed"], made["trained_on"], list(made["tested"])) == ("calm", 3, "ff", ["ff", "dfdc"])
    assert "are left out" in made["tested"]["dfdc"]["overlap"] and made["config"]["data"] == "ff"
    assert "--rows ff --seeds 3 --mode calm --preset toy" in made["command"]
    monkeypatch.setattr(benchmarks, "cell", None)
    benchmarks.run(asked)
    half = tmp_path / "half"
    shutil.copytree(tmp_path / "faces", half)
    lines = (half / "dfdc/manifest.csv").read_text().splitlines()
    (half / "dfdc/manifest.csv").write_text("\n".join([lines[0], *(line for line in lines[1:] if ",1," in line)]))
    with pytest.raises(InputError, match="no real pictures"):
        benchmarks.run(benchmarks.Benchmarks(half, ("ff",), (4,), out=tmp_path / "out"))
    for rows, said in (("celeb1",), "unknown 'celeb1'"), ((), "no NAME/manifest.csv"):
        with pytest.raises(InputError, match=said):
            benchmarks.run(benchmarks.Benchmarks(tmp_path / ("faces" if rows else "out"), rows))


def test_one_block_is_the_hottest_and_the_costliest():
    from infobottle_dfd.aggregation import ForgeryDetector
    from infobottle_dfd.faces.clues import CLUES, ClueFaces
    found = maps.measure(ForgeryDetector(1, 8).eval(), [ClueFaces(16, 32, seed=20 + i, only=c) for i, c in enumerate(CLUES)])
    assert found["by_chance"] == found["hottest_is_costliest"] == 1 and len(found["influence"]) == 1
    assert [len(found["mass"]), len(found["mass"][0]), len(found["mass"][0][0])] == [1, 4, 4]
