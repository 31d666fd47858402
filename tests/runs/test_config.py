"""Settings: presets, and what cannot be asked."""
from dataclasses import asdict
from pathlib import Path

import pytest

from helpers import one_sentence
from infobottle_dfd.commands import settings
from infobottle_dfd.core import InputError
from infobottle_dfd.runs.config import Config, PRESETS, new_folder


def test_presets_differ_where_they_say():
    subset, full = (asdict(settings([name, "--data", "x.csv"])[0]) for name in ("subset", "full"))
    assert {k for k in full if full[k] != subset[k]} == {"share"} and subset["share"] == .1
    assert settings([])[0] == Config() == PRESETS["toy"] and settings(["full", "--data", "x.csv", "--lr", "2e-3"])[0].lr == 2e-3
    with pytest.raises(InputError, match="name its manifest with --data"):
        settings(["full"])


@pytest.mark.parametrize("options, word", [
    (("--backbone", "resnet19"), "unknown backbone 'resnet19'"),
    (("--mode", "calm", "--no-lil"), "lil means nothing to mode calm"),
    (("--mode", "nowhere:Own"), "No module named 'nowhere'"),
    (("--augment", "blur"), "unknown augment 'blur'; choose one of none, flip, shift, photo"),
    (("--dropout", "1"), "dropout is 1.0; it must be at least 0 and below 1"),
    (("--mode", "best"), "unknown mode 'best'; choose one of released, paper"),
    (("--weights", "OTHER"), "weights of another model than tiny"),
    (("--weights", "none.pth"), "no such weights file"),
    (("--epochs", "0"), "it must be at least 1"),
    (("--epochs", "1000000000000000000000"), "at most 1000000"),
    (("--n", "100000000"), "n is 100000000; it must be at least 1 and at most 1024"),
    (("--seed", "2147483648"), "at most 2147483647"),
    (("--lr", "0"), "lr is 0.0; it must be above 0"),
    (("--weight-decay", "-1"), "weight_decay is -1.0; it must be at least 0"),
    (("--alpha", "nan", "--weighting", "fixed"), "alpha is nan; it must be at least 0"),
    (("--mixup", "1e-320"), "or from 0.01 to 1000"),
    (("--beta", "inf"), "beta is inf; it must be at least 0"),
    (("--shortcut", "nose"), "unknown clue 'nose'; choose one of eyes"),
    (("--shortcut", "eyes", "--leave-out", "eyes"), "'eyes' cannot be both left out and the shortcut"),
    (("--out", "EXISTING"), "exists already; add --resume"),
    (("--data", "x", "--shortcut", "eyes"), "are for drawn ClueFaces"),
    (("--alpha", "2"), "set weighting to fixed"),
    (("--resume",), "--resume needs --out"),
    (("--resume", "--out", "nothing"), "no run to resume")], ids=str)
def test_bad_training_options(call, bad, options, word):
    options = [{"OTHER": bad["weights"], "EXISTING": bad["existing"]}.get(o, o) for o in options]
    one_sentence(*call("train", *options), word)
    assert not Path("runs").exists()


@pytest.mark.parametrize("wrong", [{"bf16": "no"}, {"lil": "False"}, {"n": 4.}, {"epochs": 2.5}, {"seed": True}, {"lr": "3e-3"}, {"mode": None}, {"data": 7}, {"clip": None}], ids=str)
def test_settings_of_another_kind(wrong):
    "The text 'no' was true, two and a half epochs two; others were a traceback."
    with pytest.raises(InputError, match=f"{min(wrong)} is .*is meant"):
        Config(**wrong).check()


def test_commands_settings_of_another_kind(run_folder, face_folder):
    from infobottle_dfd.commands import Evaluate, Predict, Prepare
    from infobottle_dfd.judging.evaluate import evaluate
    from infobottle_dfd.judging.predict import judge
    from infobottle_dfd.runs.config import odd_kind
    face = next((face_folder / "real").iterdir())
    assert not any(map(odd_kind, (Predict((face,), every=2), Evaluate((face_folder,)), Prepare(face, face))))
    for options in ({"crops": "no"}, {"frames": 2.5}, {"every": "1"}, {"margin": True}):
        with pytest.raises(InputError, match="is meant"):
            judge(face, run=run_folder, **options)
    with pytest.raises(InputError, match="is meant"):
        evaluate(Evaluate((face_folder,), (run_folder,), audit="no"))


@pytest.mark.parametrize("wrong, said", [
    ({"leave_out": "nose"}, "unknown clue 'nose'; choose one of eyes, mouth, seam, texture"),
    ({"shortcut": "nose"}, "unknown clue 'nose'; choose one of eyes, mouth, seam, texture"),
    ({"device": "tpu"}, "unknown device 'tpu'; choose one of auto, cpu, cuda"),
    ({"weighting": "x"}, "unknown weighting 'x'; choose automatic or fixed"),
    ({"weighting": "x", "mode": "paper"}, "unknown weighting 'x'; choose automatic or fixed")], ids=str)
def test_a_word_that_is_no_choice(wrong, said):
    "`check` let it pass; whoever used it refused it later, in the same sentence."
    with pytest.raises(InputError) as e:
        Config(**wrong).check()
    assert str(e.value) == said


def test_what_others_refuse_is_left_to_them():
    "An objective of one's own may know other words; the clues are those that are drawn."
    from infobottle_dfd.faces.clues import CLUES
    from infobottle_dfd.runs.config import DRAWN
    assert Config(mode="mine:Own", weighting="x").check() and Config(mode="calm", weighting="x").check() and tuple(DRAWN) == CLUES
    for clue in CLUES:
        assert Config(leave_out=clue).check()
    with pytest.raises(InputError, match="are for drawn ClueFaces"):
        Config(data="x", leave_out="nose").check()


def test_a_root_that_leads_nowhere(tmp_path, monkeypatch):
    "It was said to hold ten thousand runs."
    monkeypatch.chdir(tmp_path)
    Path("runs").symlink_to("nowhere")
    with pytest.raises(InputError, match="a link that leads nowhere"):
        new_folder("cluefaces")
