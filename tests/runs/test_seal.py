"""A run folder that was damaged, edited, or written by two at once."""
import json
import random
import shutil
import time
from dataclasses import asdict
from multiprocessing import Pipe, get_context
from pathlib import Path

import pytest
import torch

from helpers import one_sentence, same
from infobottle_dfd.core import InputError, locked
from infobottle_dfd.runs.checkpoint import finished, load_run
from infobottle_dfd.runs.config import Config
from infobottle_dfd.runs.seal import read_state

pytestmark = pytest.mark.usefixtures("few_faces", "without_audit")


@pytest.fixture
def run(run_folder, tmp_path):
    "A copy that may be spoiled."
    return shutil.copytree(run_folder, tmp_path / "run")


def test_no_flipped_bit_changes_a_weight(run):
    "Two flipped bits made .4314 of 0 before, without a word."
    rng, whole, refused = random.Random(0), (run / "best.pt").read_bytes(), 0
    good, saved = load_run(run)
    for _ in range(60):
        at = rng.randrange(len(whole))
        (run / "best.pt").write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1:])
        try:
            detector, told = load_run(run)
            assert same(detector.state_dict(), good.state_dict()) and told["threshold"] == saved["threshold"]
        except InputError as e:
            refused += "train it again" in str(e)
    assert refused > 30


def test_a_weight_that_is_called_a_folder_is_refused(tmp_path):
    "One bit in the archive's index, under no checksum: torch.load read nothing and returned what stood in the memory."
    file = tmp_path / "w.pt"
    torch.save({"a": torch.ones(3), "b": torch.zeros(2)}, file)
    whole, at, entries = file.read_bytes(), -1, 0
    while (at := whole.find(b"PK\x01\x02", at + 1)) >= 0:
        file.write_bytes(whole[:at + 38] + bytes([whole[at + 38] ^ 16]) + whole[at + 39:])
        with pytest.raises(ValueError, match="damaged"):
            read_state(file, {"a": torch.Tensor})
        entries += 1
    file.write_bytes(whole)
    assert entries > 3 and read_state(file, {"a": torch.Tensor})["a"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "in work"])
def test_an_edited_config_is_noticed(call, run, face_folder, finished):
    settings = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(settings | {"mode": "paper"}))
    if not finished:
        (run / "test.json").unlink()
    one_sentence(*call("train", "--resume", "--out", run), "says mode paper, but")
    for command in (("evaluate", "--data", face_folder), ("predict", next((face_folder / "real").iterdir()), "--crops")):
        one_sentence(*call(*command, "--run", run), "best.pt was trained with mode released; put it back")
    (run / "config.json").write_text(json.dumps(settings | {"device": "cpu", "workers": 1}))        # these two may change
    assert call("evaluate", "--data", face_folder, "--run", run)[0] == 0


SHAPES = ["", "null", "7", "[1, 2]", '"text"', "{}", '{"n": "four"}', '{"config": 3}', '{"nosuch": 1}', "{\"n\": 1e400}", "\ud800", '{"n"']


@pytest.mark.parametrize("shape", SHAPES, ids=range(len(SHAPES)))
def test_json_of_any_shape(call, run, shape):
    kept = (run / "config.json").read_text()
    for name in ("test.json", "config.json"):
        (run / name).write_bytes(shape.encode("utf-8", "surrogatepass"))
        if name == "test.json":
            assert finished(run, Config(**json.loads(kept))) is None        # so it is made anew
        if name == "config.json" or shape in ("", "{}", "[1, 2]"):
            status, out, err = call("train", "--resume", "--out", run)
            assert "Traceback" not in err
            if name == "test.json":
                assert status == 0 and "test AUC" in out and json.loads((run / "test.json").read_text())["auc"] > 0
            elif shape != "{}":
                one_sentence(status, out, err, "config.json")


WRONG = [None, 7, "text", [1], {}, {"model": 1}, float("nan"), torch.ones(3), True]


@pytest.mark.parametrize("key", ["model", "config", "threshold", "film_threshold", "trained_on", "epoch", "seen", "videos", "people", "framing", "listing", "val_auc", "pixels"])
def test_best_of_any_kind(call, run, face_folder, key):
    saved = torch.load(run / "best.pt", weights_only=True)
    for wrong in WRONG:
        torch.save(saved | {key: wrong}, run / "best.pt")
        try:
            load_run(run)
        except InputError as e:                                     # which every command hands on
            assert "best.pt" in str(e) and "\n" not in str(e)
            continue
        for command in (("evaluate", "--data", face_folder), ("predict", next((face_folder / "real").iterdir()), "--crops")):
            status, out, err = call(*command, "--run", run)
            assert status == 0 or one_sentence(status, out, err, "best.pt") is None
    torch.save([saved], run / "best.pt")
    one_sentence(*call("evaluate", "--data", face_folder, "--run", run), "train it again")


@pytest.mark.parametrize("key", ["model", "optimizer", "history", "at", "config", "listing", "pixels"])
def test_last_of_any_kind(call, run, key):
    saved = torch.load(run / "last.pt", weights_only=True)
    (run / "test.json").unlink()
    for wrong in WRONG:
        torch.save(saved | {key: wrong}, run / "last.pt")
        status, out, err = call("train", "--resume", "--out", run)
        if status == 0:
            (run / "test.json").unlink()
        else:
            assert len(err.strip().splitlines()) == 1 and "Traceback" not in err and ("last.pt" in err or "its data has changed" in err)


def test_one_writer(call, run, tmp_path):
    (run / "test.json").unlink()
    before = {p.name: p.read_bytes() for p in run.iterdir()}
    here, there = Pipe()

    def hold():
        with locked(run):
            there.send("held")
            time.sleep(60)
    (held := get_context("fork").Process(target=hold)).start()
    assert here.recv() == "held"
    one_sentence(*call("train", "--resume", "--out", run), "another process is writing into it")
    assert {p.name: p.read_bytes() for p in run.iterdir() if p.name != ".lock"} == before
    held.kill(), held.join()
    assert call("train", "--resume", "--out", run)[0] == 0 and not (run / ".lock").exists()


def test_a_run_with_fewer_settings_opens(call, run, face_folder):
    "As an older version wrote it, before some settings and before anything was known of its faces."
    saved = torch.load(run / "best.pt", weights_only=True)
    new = ("augment", "dropout")
    older = {k: v for k, v in saved["config"].items() if k not in new}
    kept = {k: saved[k] for k in ("model", "epoch", "threshold", "val_auc", "trained_on", "listing")}
    torch.save(kept | {"config": older, "margin": .3}, run / "best.pt")
    (run / "config.json").write_text(json.dumps(older))
    assert Config(**load_run(run)[1]["config"]) == Config(**saved["config"])
    assert call("evaluate", "--data", face_folder, "--run", run)[0] == 0 and set(new) <= asdict(Config()).keys()


@pytest.mark.parametrize("place, value", [(("val", "information"), 3.), (("train",), {}), (("epoch",), 2), (("epoch",), None)], ids=str)
def test_a_history_of_another_kind(call, run, place, value):
    "The run went on, and fell over its history after its last epoch."
    state = torch.load(run / "last.pt", weights_only=True)
    *path, last = place
    h = state["history"][0]
    for k in path:
        h = h[k]
    h[last] = value
    torch.save(state, run / "last.pt")
    (run / "test.json").unlink()
    status, _, err = call("train", "--out", run, "--resume")
    assert (status, "no state of this version" in err) == (2, True) or (status == 0 and value == {})


def test_a_report_of_another_kind_is_made_anew(call, run):
    report = json.loads((run / "test.json").read_text())
    (run / "test.json").write_text(json.dumps(report | {"auc_per_clue": "x"}))
    assert call("train", "--out", run, "--resume")[0] == 0 and json.loads((run / "test.json").read_text())["auc"] == report["auc"]


def test_what_a_run_has_seen_is_of_one_kind(call, run, face_folder):
    "A sparse list of pixels, or a third one, ended in a traceback."
    saved = torch.load(run / "best.pt", weights_only=True)
    numbers = saved["seen"]["train"]
    for seen in ({"val": numbers.to_sparse()}, {"val": numbers[None]}, {"test": "text"}, {"test": numbers}):
        torch.save(saved | {"seen": saved["seen"] | seen}, run / "best.pt")
        one_sentence(*call("evaluate", "--data", face_folder, "--run", run), "what it has seen is of another kind")
    for cut in ({"detector": {}}, {"frames": True}, {"margin": 1}, {"source": "x"}):
        torch.save(saved | {"framing": cut}, run / "best.pt")
        one_sentence(*call("predict", next((face_folder / "real").iterdir()), "--run", run), "best.pt: not a detector of this version")


@pytest.mark.parametrize("what", [{"alone": [b"x"]}, {"alone": b"\xff"}, {"alone": [torch.ones(3)] * 2}], ids=str)
def test_a_history_that_cannot_be_written(call, run, what):
    state = torch.load(run / "last.pt", weights_only=True)
    state["history"][0]["val"]["information"] |= what
    torch.save(state, run / "last.pt")
    (run / "test.json").unlink()
    one_sentence(*call("train", "--out", run, "--resume"), "last.pt: no state of this version")


@pytest.mark.parametrize("what", [{"audit": 7}, {"audit": {"alone": 7}}, {"seconds": 10 ** 400}, {"trained_on": None}, {"trained_on": 0, "auc": [1]}],
                         ids=["audit", "blocks of it", "seconds", "no origin", "origin and score"])
def test_a_report_that_cannot_be_told_is_made_anew(call, run, what):
    "A number of 400 digits, an audit of another kind: tracebacks."
    report = json.loads((run / "test.json").read_text())
    changed = {k: v for k, v in (report | what).items() if v is not None}
    (run / "test.json").write_text(json.dumps(changed))
    status, out, _ = call("train", "--out", run, "--resume")
    assert status == 0 and "test AUC" in out and json.loads((run / "test.json").read_text())["audit"] == {"note": "not asked for"}


def test_a_lock_that_was_taken_away_is_none(tmp_path, monkeypatch):
    "Whoever opened the lock just before its holder removed it held a file that nobody else would ever open."
    import fcntl
    out, locks = tmp_path / "run", fcntl.lockf
    def late(file, how):
        (out / ".lock").unlink()
        return locks(file, how)
    monkeypatch.setattr(fcntl, "lockf", late)
    with pytest.raises(InputError, match="another process is writing"):
        with locked(out):
            pass


def test_the_optimiser_takes_its_settings_from_the_run(few_faces, tmp_path):
    "last.pt saved anew with another rate, decay or betas was believed; moments of another shape were a traceback."
    from infobottle_dfd.runs.checkpoint import go_on, keep_last, start_of
    from infobottle_dfd.runs.step import Learner
    cfg, cpu = Config(n=2, d=8, size=32, epochs=1, batch=8), torch.device("cpu")
    learner = Learner(cfg, cpu)
    total, _ = learner(torch.randint(0, 255, (8, 3, 32, 32), dtype=torch.uint8), torch.arange(8) % 2)
    learner.step(total, 1e-3)
    keep_last(tmp_path, learner, [], start_of(1))
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    honest = [{k: v for k, v in g.items() if k != "lr"} for g in learner.optimizer.state_dict()["param_groups"]]
    for group in saved["optimizer"]["param_groups"]:
        group.update(lr=9., betas=(.1, .1), weight_decay=7., eps=1., maximize=True)
    torch.save(saved, tmp_path / "last.pt")
    go_on(tmp_path, again := Learner(cfg, cpu))
    groups = again.optimizer.state_dict()["param_groups"]
    assert [{k: v for k, v in g.items() if k != "lr"} for g in groups] == honest and {g["lr"] for g in groups} == {cfg.lr}
    assert same({str(k): v["exp_avg"] for k, v in again.optimizer.state_dict()["state"].items()}, {str(k): v["exp_avg"] for k, v in learner.optimizer.state_dict()["state"].items()})
    saved["optimizer"]["state"][0]["exp_avg"] = torch.zeros(3)
    torch.save(saved, tmp_path / "last.pt")
    with pytest.raises(InputError, match="its optimiser is of another kind"):
        go_on(tmp_path, Learner(cfg, cpu))


def test_a_run_folder_names_no_code_to_run(call, run, face_folder, tmp_path, monkeypatch):
    "Neither best.pt nor config.json may import a module; who resumes a run of one's own class says so."
    shutil.copytree(run, "theirs")
    Path("theirs/evil.py").write_text("open('ran', 'w')\nfrom infobottle_dfd.losses import Objective\nclass E(Objective): marks = True\n")
    saved = torch.load("theirs/best.pt", weights_only=True)
    saved["config"]["mode"], saved["objective"] = "theirs.evil:E", {}
    torch.save(saved, "theirs/best.pt")
    config = json.loads(Path("theirs/config.json").read_text())
    Path("theirs/config.json").write_text(json.dumps(config | {"mode": "theirs.evil:E"}))
    assert call("evaluate", "--data", face_folder, "--run", "theirs", "--split", "all")[0] == 0
    one_sentence(*call("train", "--resume", "--out", "theirs"), "if it is yours, add --mode theirs.evil:E")
    face = next((face_folder / "real").iterdir())
    status, out, _ = call("predict", face, "--crops", "--run", "theirs", "--picture", "a.png")
    assert status == 0 and "its places, if any, are not drawn" in out and "not drawn" not in call("predict", face, "--crops", "--run", "theirs")[1]
    assert not Path("ran").exists()
