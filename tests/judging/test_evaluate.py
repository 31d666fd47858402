"""infobottle-evaluate: which faces are judged, and where they come from."""
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from helpers import HEADER, TRAIN, one_sentence
from infobottle_dfd.audit import audit
from infobottle_dfd.faces.manifest import read_faces
from infobottle_dfd.faces.pictures import FaceFiles
from infobottle_dfd.judging.metrics import score
from infobottle_dfd.runs.checkpoint import load_run

pytestmark = pytest.mark.usefixtures("few_faces", "without_audit")


def test_data_without_a_test_split(call, face_folder, tmp_path):
    "Trains, chooses on a val cut from train, and says nothing of a test that is not there."
    lines = "".join(f"{p},{int(p.parent.name == 'fake')},train,,,\n" for p in sorted(face_folder.rglob("*.png")))
    (tmp_path / "train only.csv").write_text(HEADER + lines)
    status, out, _ = call("train", "--data", "train only.csv", *TRAIN)
    assert status == 0 and "test AUC" not in out and "auc" not in json.loads(Path("runs/train only-1/test.json").read_text())
    one_sentence(*call("evaluate", "--data", "train only.csv"), "split 'test' does not hold both")
    one_sentence(*call("evaluate", "--data", face_folder, "--json", "no/r.json"), "its folder does not exist")
    one_sentence(*call("evaluate", "--data", face_folder, "--json", tmp_path), "is a folder; name a file")


def test_a_val_that_training_cut_is_judged_as_val(call, face_folder, tmp_path):
    "Train and test are listed, val is not: evaluation cuts the same one."
    faces = sorted(face_folder.rglob("*.png"))
    lines = "".join(f"{p},{int(p.parent.name == 'fake')},{'test' if i % 5 == 0 else 'train'},,,\n" for i, p in enumerate(faces))
    (tmp_path / "two.csv").write_text(HEADER + lines)
    assert call("train", "--data", "two.csv", "--out", "run", *TRAIN)[0] == 0
    seen = torch.load("run/best.pt", weights_only=True)["seen"]
    for split in ("train", "val"):
        status, out, err = call("evaluate", "--run", "run", "--data", "two.csv", "--split", split, "--json", f"{split}.json")
        assert status == 0 and json.loads(Path(f"{split}.json").read_text())["images"] == len(seen[split]), err


def test_drawn_faces_are_no_photographs(call, face_folder):
    assert call("train", "--images", 64, *TRAIN)[0] == 0
    for command in (("evaluate", "--data", face_folder), ("predict", next((face_folder / "real").iterdir()), "--crops")):
        assert "never a photograph" in call(*command)[1]


def test_data_that_changed_after_training(call, face_folder, tmp_path):
    "A set without splits is cut again as training cut it, but only if it is still the same set."
    shutil.copytree(face_folder, tmp_path / "mine")
    assert call("train", "--data", "mine", "--out", "run", *TRAIN)[0] == 0
    assert call("evaluate", "--data", "mine", "--run", "run")[0] == 0
    for label, kind in enumerate(("real", "fake")):
        Image.new("RGB", (48, 48), (90, 90, 90 + label)).save(tmp_path / f"mine/{kind}/new.png")
    status, out, _ = call("evaluate", "--data", "mine", "--run", "run", "--json", "r.json")
    assert status == 0 and "trained on, changed since" in out and json.loads(Path("r.json").read_text())["images"] < 15
    saved = torch.load("run/best.pt", weights_only=True)
    del saved["seen"]                                                       # as an older version wrote it
    torch.save(saved, "run/best.pt")
    one_sentence(*call("evaluate", "--data", "mine", "--run", "run"), "did not keep what it saw")
    assert "not known: the run is of a version" in call("evaluate", "--data", "mine", "--run", "run", "--split", "all")[1]


def test_a_copy_of_the_training_set(call, face_folder, run_folder, tmp_path):
    "At another place it is known by its names and labels, and cut as in training; with one face less it is another set."
    shutil.copytree(face_folder, tmp_path / "copied")
    status, out, _ = call("evaluate", "--data", "copied", face_folder, "--run", run_folder, "--json", "r.json")
    copied, own = json.loads(Path("r.json").read_text())["cells"]
    assert status == 0 and "copy     frames" in out and "own      frames" in out and "trained on, at another place" in out
    assert copied["scores"] == own["scores"] and len(own["scores"]) < 15 and copied["origin"] == "copy" and copied["in_dataset"]
    assert "split test (cut as in training)" in call("evaluate", "--data", "copied", "--run", run_folder)[1]


@pytest.mark.parametrize("how", ["one row less", "renamed", "another format", "a manifest"])
def test_training_faces_are_not_judged_as_new(call, face_folder, run_folder, tmp_path, how):
    "However a set is listed, named or kept: exact counts, the rest is judged, and all of it where that is asked for."
    saved = load_run(run_folder)[1]
    train, val = len(saved["seen"]["train"]), len(saved["seen"]["val"])
    lines = ""
    for i, p in enumerate(sorted(face_folder.rglob("*.png"))[how == "one row less":]):
        kind, name = p.parent.name, {"renamed": f"new {p.stem[-2:]}.png", "another format": f"{p.stem}.bmp"}.get(how, p.name)
        (tmp_path / "set" / kind).mkdir(parents=True, exist_ok=True)
        Image.open(p).save(tmp_path / "set" / kind / name)
        lines += f"set/{kind}/{name},{int(kind == 'fake')},test,,,\n"
    (tmp_path / "list.csv").write_text(HEADER + lines)
    status, out, _ = call("evaluate", "--data", "list.csv" if how == "a manifest" else "set", "--run", run_folder, "--json", "r.json")
    there = 60 - (how == "one row less")
    report = json.loads(Path("r.json").read_text())
    assert status == 0 and there - report["images"] >= train + val - 1 and "are left out" in out and "compressed anew are not found" in out
    if there == 60:
        assert f"{train} of 60 faces were in its train split; {val} of 60 faces were in its val split; {train + val} are left out" in out.replace("\n", " ")
        status, out, _ = call("evaluate", "--data", "list.csv", "--run", run_folder, "--split", "all")
        assert "all are judged, as asked" in out and "60 faces" in out


def test_equal_names_are_a_hint(call, face_folder, tmp_path):
    lines = "".join(f"{p},{int(p.parent.name == 'fake')},{s},v{i},p{i}," + "\n" for i, p in enumerate(sorted(face_folder.rglob("*.png"))) for s in [("train", "val", "test")[i % 3]])
    (tmp_path / "own.csv").write_text(HEADER + lines)
    assert call("train", "--data", "own.csv", "--out", "run", *TRAIN)[0] == 0
    rows = [r for r in lines.splitlines() if ",test," in r]
    (tmp_path / "other.csv").write_text(HEADER + "\n".join(r.replace(f",v{2 + 3 * i},p{2 + 3 * i},", f",v{3 * i},p{3 * i},") for i, r in enumerate(rows)) + "\n")
    out = call("evaluate", "--data", "other.csv", "--run", "run")[1]
    assert "20 videos and 20 people bear names that its training had, a hint" in out and "20 faces" in out


def test_scores_that_are_no_numbers(call, run_folder, face_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "nan")
    saved = torch.load(tmp_path / "nan/best.pt", weights_only=True)
    saved["model"]["classifier.1.bias"][:] = float("nan")
    torch.save(saved, tmp_path / "nan/best.pt")
    picture = next((face_folder / "real").iterdir())
    for command in (("predict", picture, "--crops"), ("evaluate", "--data", face_folder)):
        one_sentence(*call(*command, "--run", "nan"), "its scores are no numbers")


def test_a_report_overwrites_nothing_it_was_made_from(call, face_folder, run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    shutil.copytree(face_folder, tmp_path / "set")
    face = next((tmp_path / "set/real").iterdir())
    for command in (("evaluate", "--data", "set"), ("predict", face, "--crops")):
        for path in ("run/best.pt", "run/test.json", face):
            one_sentence(*call(*command, "--run", "run", "--json", path), "is the same file as")


@pytest.mark.slow
def test_the_audit_of_a_run_on_every_set(call, run_folder, face_folder, tmp_path):
    "In text, JSON and picture, over the units of the interval; a set that holds too few of them gets a sentence; nobody pays who did not ask."
    rows = read_faces(face_folder)
    (tmp_path / "films.csv").write_text(HEADER + "".join(f"{r.path},{r.label},,v{i // 3},," + "\n" for i, r in enumerate(rows)))
    (tmp_path / "two.csv").write_text(HEADER + "".join(f"{r.path},{r.label},,v{r.label},," + "\n" for r in rows))
    asked = ("evaluate", "--run", run_folder, "--split", "all", "--json", "r.json", "--picture", "r.svg", "--data", "films.csv")
    assert call(*asked)[0] == 0 and "audit" not in json.loads(Path("r.json").read_text())
    small = Path("r.svg").read_text().count("<path")
    status, out, err = call(*asked, "two.csv", "--audit")
    films, two = json.loads(Path("r.json").read_text())["cells"]
    z = score(load_run(run_folder)[0], FaceFiles(read_faces(Path("films.csv")), 32), z=True).z
    assert status == 0 and films["audit"] == vars(audit(z, films["labels"], films["group_of"])) and films["audit"]["groups"] == 20
    assert str(audit(z, films["labels"], films["group_of"])) in out and "UserWarning" not in err
    assert two["audit"].keys() == {"note"} and "not measured: one of the labels has 1 groups" in out
    assert Path("r.svg").read_text().count("<path") > small + 20


def test_numbers_are_told_if_they_cannot_be_written(call, face_folder, run_folder, monkeypatch):
    "After hours of work a full disk left one sentence."
    from infobottle_dfd.judging import evaluate
    def full(path, data):
        raise OSError(28, "could not be written (No space left on device)", str(path))
    monkeypatch.setattr(evaluate, "write_json", full)
    status, out, err = call("evaluate", "--data", face_folder, "--run", run_folder, "--split", "all", "--json", "r.json")
    assert status == 2 and "60 faces" in out and err.strip().endswith("r.json: could not be written (No space left on device)")


def test_a_link_that_leads_to_itself(call, run_folder):
    "A traceback."
    Path("m.csv").symlink_to("m.csv")
    one_sentence(*call("evaluate", "--data", "m.csv", "--run", run_folder), "m.csv: no such file or folder")


def test_fakes_alone_are_judged_with_the_real_faces_of_another_set(call, run_folder, face_folder, tmp_path):
    "A set of fakes could not be judged at all; the real faces are those of the split that was asked for."
    shutil.copytree(face_folder / "fake", tmp_path / "fakes/fake")
    one_sentence(*call("evaluate", "--data", "fakes", "--run", run_folder), "--real-from ANOTHER")
    for split in ("test", "all"):
        status, out, _ = call("evaluate", "--data", "fakes", "--run", run_folder, "--real-from", face_folder, "--split", split, "--json", "r.json")
        r = json.loads(Path("r.json").read_text())
        assert status == 0 and r["real_from"] == str(face_folder) and "with the real faces of" in out
        real = [y for y in r["labels"] if not y]
        assert 0 < len(real) < 30 if split == "test" else len(real) == len(list((face_folder / "real").iterdir()))


def test_a_set_with_several_people_a_film_names_its_rule(call, run_folder, face_folder, tmp_path):
    files = sorted(face_folder.rglob("*.png"))
    lines = [f"{p},{int(p.parent.name == 'fake')},,{p.parent.name}{i // 12}#{i // 6 % 2 + 1},," for k in ("real", "fake") for i, p in enumerate(f for f in files if f.parent.name == k)]
    (tmp_path / "people.csv").write_text(HEADER + "\n".join(lines) + "\n")
    status, out, _ = call("evaluate", "--data", "people.csv", "--run", run_folder, "--split", "all", "--json", "r.json")
    v = json.loads(Path("r.json").read_text())["video"]
    assert status == 0 and v["people"] > v["videos"] and "that of the most fake of its people" in out and "by the worst 4 neighbouring frames of" in out
    assert all(w >= s for s, w in zip(v["reached"]["by_score"], v["reached"]["by_worst"]))


def test_animations_are_spoken_of(call, run_folder, face_folder, tmp_path):
    shutil.copytree(face_folder, tmp_path / "faces")
    for kind in ("real", "fake"):
        one = Image.open(sorted((tmp_path / "faces" / kind).iterdir())[0])
        one.rotate(5).save(tmp_path / f"faces/{kind}/moves.gif", save_all=True, append_images=[one.rotate(90)])
    for command in (("evaluate", "--data", "faces", "--run", run_folder, "--split", "all"), ("train", "--data", "faces", "--out", "run", *TRAIN)):
        status, out, err = call(*command)
        assert status == 0 and "2 pictures are animations, as " in out + err


def test_all_is_chosen_before_anything_is_scored(call, face_folder, run_folder, tmp_path, monkeypatch):
    "A second set that cannot be judged cost the scores of the first; a second run without numbers, too."
    from infobottle_dfd.judging import evaluate as page
    seen = tmp_path / "seen.csv"                                            # faces of its train split alone
    shutil.copytree(face_folder, tmp_path / "other")
    lines = [f"{p},{int(p.parent.name == 'fake')},test,,,\n" for p in sorted((tmp_path / "other").rglob("*.png"))]
    seen.write_text(HEADER + "".join(line for line in lines if ",1," in line))
    monkeypatch.setattr(page, "score", lambda *_, **__: pytest.fail("scored before all was chosen"))
    one_sentence(*call("evaluate", "--data", face_folder, seen, "--run", run_folder), "both classes")


def test_a_run_without_numbers_loses_nothing(call, face_folder, run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "torn")
    saved = torch.load(tmp_path / "torn/best.pt", weights_only=True)
    saved["model"] = {k: v * float("nan") if v.is_floating_point() else v for k, v in saved["model"].items()}
    torch.save(saved, tmp_path / "torn/best.pt")
    status, out, err = call("evaluate", "--data", face_folder, "--run", run_folder, tmp_path / "torn")
    assert status == 2 and "its scores are no numbers" in err and "AUC" in out
