"""Runs by sets, and when a difference is said to be one."""
import json
import shutil
from pathlib import Path

import torch
from PIL import Image

from helpers import HEADER, one_sentence
from infobottle_dfd.faces.manifest import Face
from infobottle_dfd.judging.tables import cell, compare, cross, show


def test_runs_by_sets(call, face_folder, run_folder, tmp_path):
    "Two runs on two sets: a table with its protocol, JSON, a figure; the set of training is cut as training cut it."
    shutil.copytree(run_folder, tmp_path / "other run")
    lines = ""
    for i, p in enumerate(sorted(face_folder.rglob("*.png"))):                      # compressed anew: faces of training are not known again
        Image.open(p).save(tmp_path / f"{i}.jpg", quality=90)
        lines += f"{i}.jpg,{int(p.parent.name == 'fake')},test,{p.parent.name}{i // 3},,{'swap' if i % 2 else 'puppet'}\n"
    (tmp_path / "videos.csv").write_text(HEADER + lines)
    status, out, _ = call("evaluate", "--data", face_folder, "videos.csv", "--run", run_folder, "other run", "--json", "r.json", "--picture", "r.png")
    assert status == 0 and out.count("videos.csv") >= 6 and "60 videos" not in out and "split test (as its manifest says)" in out and Path("r.png").stat().st_size > 5000
    found = json.loads(Path("r.json").read_text())
    assert [c["in_dataset"] for c in found["cells"]] == [True, False] * 2 and found["cells"][0]["images"] < 15 and found["cells"][1]["video"]["videos"] < 60
    assert len(found["cross_auc"]) == 2 and all(len(pairs) == 2 for pairs in found["cross_auc"].values())
    assert found["cells"][0]["scores"] == found["cells"][2]["scores"]
    one_sentence(*call("evaluate", "--data", face_folder, "--run", run_folder, "--split", "dev"), "choose train, val, test, all or unseen")


def test_only_the_ranking_counts():
    "Scores near 1e-8 are no ties: a detector and the same one with all logits lowered are equally good, on one set and across two."
    rows = [Face(Path(str(i)), i % 2, video=f"v{i}") for i in range(200)]
    logits = torch.randn(200, generator=torch.Generator().manual_seed(0)) + torch.arange(200) % 2
    saved = {"trained_on": "A", "threshold": .5, "film_threshold": .5, "config": {}}
    cells = [{"run": str(down), "data": data, **cell(rows, (logits - down).sigmoid(), saved)} for down in (7, 17) for data in "AB"]
    assert all(len(set(c["scores"])) == len(logits.unique()) for c in cells)
    assert all("+0.0000 (" in line and line.endswith("p 1.000, not significant") for line in compare(cells)) and len(compare(cells)) == 2
    assert {auc for pairs in cross(cells).values() for auc in pairs.values()} == {cells[0]["auc"]}


def test_too_few_groups_give_no_interval(call, face_folder, run_folder, tmp_path):
    "What holds too few independent groups gets null, no verdict and a picture without a line."
    lines = "".join(f"{p},{k},,{k},,\n" for p in sorted(face_folder.rglob("*.png")) for k in [int(p.parent.name == "fake")])
    (tmp_path / "few.csv").write_text(HEADER + lines)
    shutil.copytree(run_folder, tmp_path / "other")
    saved = torch.load("other/best.pt", weights_only=True)
    noisy = {k: v + .3 * torch.randn_like(v) if k.startswith("classifier") else v for k, v in saved["model"].items()}
    torch.save(saved | {"model": noisy}, "other/best.pt")
    all_of = ("evaluate", "--data", "few.csv", "--split", "all", "--run", run_folder)
    status, out, err = call(*all_of, "other", "--json", "r.json", "--picture", "r.png")
    assert status == 0 and err == "" and "too few units for a verdict" in out and "significant" not in out and "too few for an interval" in out
    assert all(c["auc_95"] is None and c["video"]["auc_95"] is None for c in json.loads(Path("r.json").read_text())["cells"])
    assert Path("r.png").stat().st_size > 5000
    assert call(*all_of)[1].count("(no interval)") == 2


def test_people_who_are_too_few_give_way_to_videos(call, face_folder, run_folder, tmp_path):
    "Everybody tied to everybody: videos are counted, and the line says what that passes over."
    files = sorted(face_folder.rglob("*.png"))
    (tmp_path / "one.csv").write_text(HEADER + "".join(f"{p},{int(p.parent.name == 'fake')},,v{k // 2},me,\n" for k, p in enumerate(files)))
    (tmp_path / "nine.csv").write_text(HEADER + "".join(f"{p},{int(p.parent.name == 'fake')},,,p{k % 9},\n" for k, p in enumerate(files)))
    status, out, _ = call("evaluate", "--data", "one.csv", "nine.csv", "--split", "all", "--run", run_folder)
    assert status == 0 and "over 30 videos" in out and "people tie them into 1 group, too few" in out and "over 9 groups of people (9 with real faces, 9 with fakes)" in out


def test_a_small_p_is_no_zero():
    "`p 0.000` was printed; and that each of several sets is judged by itself was not said."
    rows = [Face(Path(str(i)), i % 2, video=f"v{i}") for i in range(400)]
    noise = torch.randn(2, 400, generator=torch.Generator().manual_seed(0))
    saved = {"trained_on": "A", "threshold": .5, "film_threshold": .5, "config": {"data": "A"}}
    told = {"split": "test", "split_rule": "x", "overlap": "none", "origin": "cross"}
    cells = [{"run": str(k), "data": data, **cell(rows, (noise[k] + 2 * k * (torch.arange(400) % 2)).sigmoid(), saved), **told}
             for k in (0, 1) for data in "AB"]
    assert all("p < 0.001, significant" in line for line in compare(cells)) and len(compare(cells)) == 2
    assert "each set judged by itself" in show(cells) and "each set" not in show(cells[::2])
