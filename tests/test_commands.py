"""The commands as a user types them, one after the other, and what bad data gets from each."""
import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from helpers import ENV, FIXED, HEADER, TRAIN, film, one_sentence

pytestmark = pytest.mark.usefixtures("few_faces", "without_audit")
CASES = [("missing", "no such file or folder"), ("empty", "no pictures; give a folder with real/ and fake/"), ("one class", "no fake pictures"),
         ("truncated", "broken.jpg: not a readable picture"), ("text", "note.jpg: not a readable picture"),
         ("no column", "no column 'identity'; the first line must be path,label"), ("label 2", "label '2'; write 1 for fake and 0 for real")]


@pytest.mark.parametrize("what, word", CASES, ids=[c[0] for c in CASES])
def test_bad_data(call, bad, run_folder, what, word):
    for command in (("train", "--data", bad[what], *TRAIN), ("train", "--data", bad[what], "--out", "named", *TRAIN), ("evaluate", "--data", bad[what], "--run", run_folder, "--json", "r.json")):
        one_sentence(*call(*command), word)
    assert not Path("runs").exists() and not Path("named").exists() and not Path("r.json").exists()


def test_train_evaluate_predict(call, face_folder):
    "The three commands one after the other, from a folder of pictures, without naming the run."
    status, out, _ = call("train", "--data", face_folder, *TRAIN)
    assert status == 0 and "run folder     runs/some faces-1" in out and "test AUC" in out
    status, out, _ = call("evaluate", "--data", face_folder, "--split", "all", "--json", "r.json")
    assert status == 0 and all(word in out for word in ("AUC", "accuracy", "log-loss", "EER", "AP", "60 faces"))
    report = json.loads(Path("r.json").read_text())
    assert len(report["scores"]) == 60 and report["auc_95"][0] <= report["auc"] <= report["auc_95"][1] and report["versions"]["torch"]
    images = sorted(face_folder.rglob("*.png"))[:3]
    status, out, _ = call("predict", *images, "--crops", "--picture", "why.png")
    assert status == 0 and out.splitlines()[0].startswith("run runs/some faces-1") and len(out.splitlines()) == 4
    assert [float(line.split()[0]) for line in out.splitlines()[1:]] == pytest.approx([report["scores"][k] for k in scores_of(images, face_folder)], abs=2e-4)
    drawn = list(Path().glob("why-*.png"))                                  # a picture for each file
    assert len(drawn) == 3 and min(p.stat().st_size for p in drawn) > 10_000 and not list(Path().glob(".*.png"))


def scores_of(images, folder):
    "Positions of the images in the order in which a folder is read: real, then fake, each by name."
    order = [*sorted((folder / "real").iterdir()), *sorted((folder / "fake").iterdir())]
    return [order.index(i) for i in images]


def test_free_names_resume_and_the_same_table_twice(call):
    tables = [call("train", "--images", 64, *TRAIN)[1] for _ in range(2)]
    assert all(f"runs/cluefaces-{k}" in t for k, t in zip((1, 2), tables))
    but_seconds = lambda t: [line for line in t.splitlines() if not line.startswith(("seconds", "run folder"))]
    assert but_seconds(tables[0]) == but_seconds(tables[1]) and len(but_seconds(tables[0])) == 11
    first = Path("runs/cluefaces-1/test.json").read_text()
    status, out, err = call("train", "--out", "runs/cluefaces-1", "--resume")
    assert status == 0 and json.loads(first)["auc"] == json.loads(Path("runs/cluefaces-1/test.json").read_text())["auc"]
    one_sentence(*call("train", "--out", "runs/cluefaces-1", "--resume", "--epochs", "5"), "--epochs 5 differs from the run's own 1")


def test_help():
    "As installed: the help of every command names its options and explains them."
    folder = str(Path(sys.executable).parent)
    running = [subprocess.Popen([shutil.which(f"infobottle-{name}", path=folder), "--help"], stdout=subprocess.PIPE, text=True) for name in ("train", "evaluate", "predict", "prepare")]
    helps = [p.communicate()[0] for p in running]
    assert [p.returncode for p in running] == [0, 0, 0, 0]
    for text, words in zip(helps, (("--resume", "--backbone", "Local information blocks"), ("--split", "--json"), ("--picture", "FILE..."), ("--margin", "--detector"))):
        assert all(w in text for w in words), text


@pytest.mark.parametrize("env", [{"WORLD_SIZE": "2"}, {"WORLD_SIZE": "two"}, {"WORLD_SIZE": "", "RANK": "1"}], ids=str)
def test_half_of_torchrun(call, monkeypatch, few_faces, env):
    for k, v in env.items():
        monkeypatch.setenv(k, v)
    one_sentence(*call("train", "--images", 64, *TRAIN), "start with torchrun, or unset WORLD_SIZE")


def test_ranks(call, monkeypatch, few_faces):
    "Torch waited half an hour for one that is none; one of something else is passed over: a run alone speaks."
    for rank in ("2", "7", "-1", "x"):
        for k, v in {"WORLD_SIZE": "2", "RANK": rank, "MASTER_ADDR": "localhost", "MASTER_PORT": "29577"}.items():
            monkeypatch.setenv(k, v)
        one_sentence(*call("train", "--images", 64, *TRAIN), f"RANK is '{rank}', none of the 2 processes")
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setenv("RANK", "1")
    assert "run folder" in call("train", "--images", 64, *TRAIN)[1]


def test_names_that_are_not_utf_8_are_printed(call, face_folder, few_faces):
    status, out, _ = call("train", "--images", 64, *TRAIN, "--out", os.fsdecode(b"d\xe9"))
    assert status == 0 and "d?" in out
    shutil.copytree(face_folder, os.fsdecode(b"\xff"))
    assert call("evaluate", "--data", os.fsdecode(b"\xff"), "--run", os.fsdecode(b"d\xe9"), "--picture", "o.png", "--json", "o.json")[0] == 0


def test_a_finished_run_is_told_wherever(call, run_folder, monkeypatch):
    "Its table was a KeyError where something else had set WORLD_SIZE."
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "01")
    assert "test AUC" in call("train", "--out", run_folder, "--resume")[1]


@pytest.mark.parametrize("name", ["prepare", "train", "evaluate", "predict"])
def test_ctrl_c_while_options_are_read(call, monkeypatch, name):
    from infobottle_dfd import commands
    def stopped(*a, **k):
        raise KeyboardInterrupt
    monkeypatch.setattr(commands.tyro, "cli", stopped)
    try:
        one_sentence(*call(name), f"infobottle-{name}: stopped")
    except KeyboardInterrupt:
        pytest.fail("a traceback")


def test_ctrl_c_while_python_imports(tmp_path):
    "There was a traceback for as long as the options' library was still being loaded."
    (tmp_path / "tyro.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(20)\n")
    env = ENV | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [ENV.get("PYTHONPATH")])])}
    for name in ("prepare", "train", "evaluate", "predict"):
        heard = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)    # a shell's `&` switches Ctrl-C off
        done = subprocess.run([Path(sys.executable).with_name(f"infobottle-{name}")], env=env, capture_output=True, text=True, preexec_fn=heard, timeout=60)
        assert (done.returncode, done.stderr, done.stdout) == (130, f"infobottle-{name}: stopped\n", "")


PLACES = ["data", "picture", "mask", "last.pt", "best.pt", "config.json", "metrics.jsonl", "test.json", "curves.png", ".lock", "weights", "predict picture", "predict film", "evaluate data",
          "evaluate picture", "evaluate run", "evaluate config", "real from", "prepare list", "prepare film", "prepare.json", "done.jsonl", "manifest.csv", "prepare .lock", "prepare json"]


@pytest.fixture
def in_time():
    "What waits for ever for a pipe is woken."
    def late(*_):
        raise TimeoutError("it hangs")
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("place, kind", [p for p in product(PLACES, ["pipe", "zero", "full", "folder"]) if p not in product(["picture", "evaluate picture", "prepare film", "predict film", "predict picture"], ["folder"])])
def test_what_is_no_file_is_not_opened(call, in_time, tmp_path, run_folder, face_folder, monkeypatch, place, kind):
    "A pipe, a device or a folder in place of a file hung for ever, or gave a traceback."
    run, faces, out, films = tmp_path / "run", tmp_path / "faces", tmp_path / "out", tmp_path / "films"
    shutil.copytree(run_folder, run), shutil.copytree(face_folder, faces), out.mkdir(), (films / "real").mkdir(parents=True)
    (tmp_path / "own.py").write_text(FIXED)
    monkeypatch.syspath_prepend(tmp_path)
    face, listed = next((faces / "real").iterdir()), tmp_path / "list.csv"
    listed.write_text(HEADER.strip() + ",mask\n" + "".join(f"{p},{int(p.parent.name == 'fake')},,,,,{'odd.png' if p.parent.name == 'fake' else ''}\n" for p in sorted(faces.rglob("*.png"))))
    resume, films_in = ("train", "--resume", "--out", run), ("prepare", films, out, "--detector", "own:find", "--workers", 1)
    odd, args = {
        "data": ("odd.csv", ("train", "--data", "odd.csv", *TRAIN)), "picture": (face, ("train", "--data", faces, *TRAIN)), "mask": ("odd.png", ("train", "--data", listed, *TRAIN, "--mode", "places")),
        **{name: (run / name, resume) for name in ("last.pt", "best.pt", "config.json", "metrics.jsonl", "test.json", "curves.png", ".lock")}, "weights": ("odd.pth", ("train", "--weights", "odd.pth", "--images", 64, *TRAIN)),
        "predict picture": ("odd.png", ("predict", "odd.png", "--crops", "--run", run)), "predict film": ("odd.mp4", ("predict", "odd.mp4", "--run", run, "--detector", "own:find")),
        "evaluate data": ("odd.csv", ("evaluate", "--data", "odd.csv", "--run", run)), "evaluate picture": (face, ("evaluate", "--data", faces, "--run", run)),
        "evaluate run": (run / "best.pt", ("evaluate", "--data", faces, "--run", run)), "evaluate config": (run / "config.json", ("evaluate", "--data", faces, "--run", run)),
        "real from": ("odd.csv", ("evaluate", "--data", faces, "--run", run, "--real-from", "odd.csv")), "prepare list": ("odd.csv", ("prepare", "odd.csv", out, "--detector", "own:find")),
        "prepare film": (films / "real/odd.mp4", films_in), **{name: (out / name, films_in) for name in ("prepare.json", "done.jsonl", "manifest.csv")}, "prepare .lock": (out / ".lock", films_in),
        "prepare json": ("odd.json", ("prepare", "odd.json", out)),
    }[place]
    odd = tmp_path / odd
    if place in ("last.pt", "metrics.jsonl", ".lock"):
        (run / "test.json").unlink()
    if films_in is args:
        film(films / "real/a.mp4")
    odd.unlink(missing_ok=True)
    {"pipe": lambda: os.mkfifo(odd), "folder": odd.mkdir, "zero": lambda: odd.symlink_to("/dev/zero"), "full": lambda: odd.symlink_to("/dev/full")}[kind]()
    status, out, err = call(*args)
    if place == "prepare film":                             # the others are not lost for it
        assert status == 0 and "missing: 1 files, such as" in out and "odd.mp4" in out
    else:
        one_sentence(status, out, err, odd.name)


def test_a_zero_byte(call, run_folder, face_folder):
    "Where a name comes from a list or a caller, not from a shell, it was a traceback."
    from infobottle_dfd.commands import Evaluate, Predict, Prepare
    from infobottle_dfd.core import InputError
    from infobottle_dfd.faces.prepare import prepare
    from infobottle_dfd.judging.evaluate import evaluate
    from infobottle_dfd.judging.predict import judge, predict
    from infobottle_dfd.runs.checkpoint import load_run
    from infobottle_dfd.runs.config import Config
    from infobottle_dfd.training import fit
    zero, face = Path("a\0b.png"), next((face_folder / "real").iterdir())
    small = Config(images=64, size=32, n=2, d=8, epochs=1, batch=8)
    tries = [lambda: judge(zero, run=run_folder, crops=True), lambda: judge(face, run=zero, crops=True), lambda: load_run(zero), lambda: fit(small, zero), lambda: fit(Config(data=str(zero))),
             lambda: fit(Config(**vars(small) | {"weights": str(zero)}), "w"), lambda: evaluate(Evaluate((zero,), (run_folder,))), lambda: evaluate(Evaluate((face_folder,), (zero,))),
             lambda: evaluate(Evaluate((face_folder,), (run_folder,), json=zero)), lambda: evaluate(Evaluate((face_folder,), (run_folder,), picture=zero)),
             lambda: evaluate(Evaluate((face_folder,), (run_folder,), real_from=zero)), lambda: predict(Predict((face,), run_folder, crops=True, picture=zero)),
             lambda: prepare(Prepare(zero, Path("out"))), lambda: prepare(Prepare(face_folder, zero, group_by="none")), lambda: fit(Config(mode="a\0:B")), lambda: fit(Config(device="cpu\0")), lambda: fit(Config(backbone="r\0"))]
    for attempt in tries:
        with pytest.raises(InputError):
            attempt()
    Path("list.csv").write_text(HEADER + "a\0.png,0,,,,\nb\0.png,1,,,,\n")
    one_sentence(*call("evaluate", "--data", face_folder, "--real-from", "list.csv", "--json", "list.csv", "--run", run_folder), "is the same file as list.csv")
    for command in (("train", "--data", "list.csv", *TRAIN), ("evaluate", "--data", "list.csv", "--run", run_folder)):
        one_sentence(*call(*command), "list.csv")
