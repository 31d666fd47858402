"""What pages share: one name and one colour each, a style, sentences and numbers."""
import matplotlib.pyplot as plt
import pytest
import torch

from infobottle_dfd.core import InputError
from infobottle_dfd.pages import ARMS, CLASSES, CLUES, OLD_NAMES, arm, finish, numbers, says, show, style, tree


def test_one_colour_and_one_name():
    for colours in (ARMS, CLASSES, CLUES):
        assert len({c.lower() for c in colours.values()}) == len(colours)
    assert arm("ce") == arm("cross-entropy") == "cross-entropy" and not set(OLD_NAMES) & set(ARMS)


def test_a_figure_is_wide_and_its_axes_are_named():
    with plt.rc_context():
        style()
        figure, ax = plt.subplots()
        ax.plot([0, 1], [0, 1], label="one")
        finish(ax, "time, s", "height, m", xlim=(0, 2))
        width, _ = figure.get_size_inches() * figure.dpi
        assert width >= 600 and (ax.get_xlabel(), ax.get_ylabel(), ax.get_xlim()) == ("time, s", "height, m", (0, 2)) and ax.get_legend()
        plt.close(figure)


def fail():
    raise InputError("/some/where/a.csv: is empty")


def test_what_is_said(capsys):
    says("is empty", fail, "/some/where")
    show("word " * 40)
    out = capsys.readouterr().out
    assert out.startswith(".../a.csv: is empty\n") and all(len(line) <= 98 for line in out.splitlines())
    for f, words in ((fail, "is full"), (lambda: None, "")):
        with pytest.raises(AssertionError):
            says(words, f)
    assert numbers(torch.tensor([.5, -0.])) == "0.500 0.000"


def test_tree(tmp_path):
    tree(tmp_path, "a/b.mp4", c__d="text")
    assert (tmp_path / "a/b.mp4").read_bytes() == b"" and (tmp_path / "c/d").read_text() == "text"
