"""What pages share: one name and one colour each, a style, sentences and numbers."""
import io
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from helpers import PAGES, ROOT
from PIL import Image

from infobottle_dfd.core import InputError
from infobottle_dfd.faces.manifest import Face
from infobottle_dfd.faces.readers import Found, inventory
from infobottle_dfd.pages import ARMS, CLASSES, CLUES, OLD_NAMES, _in_colour, _palette, alt, arm, branches, finish, knob, numbers, says, show, stock, strip, style, tree


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
        finish(ax, "time, s", beside=True)
        figure.canvas.draw()
        assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1          # it covers nothing
        plt.close(figure)


def test_a_figure_has_its_words():
    figure, axes = plt.subplots(1, 2)
    axes[0].plot([0, 1], label="one")
    finish(axes[0], "time, s", "height, m", title="a\nwalk")
    assert alt(figure) == "Picture. a walk: height, m against time, s: one"
    plt.close(figure)
    page = json.loads((ROOT / "nbs/foundation/02_pages.ipynb").read_text())
    stored = [o["data"] for c in page["cells"] for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    styled = ["".join(d["text/plain"]) for d in stored[1:]]                    # the first is drawn before `style` is
    assert styled and all(words.startswith("Picture. ") for words in styled)


def test_a_figure_is_stored_small():
    with plt.rc_context():
        style()
        figure, ax = plt.subplots()
        ax.plot(torch.linspace(0, 1, 99)[:, None] ** torch.arange(1, 6))
        for colour in ARMS.values():                                            # many shades, and a few single dots
            ax.fill_between([20, 80], [0, .5], [1, .9], color=colour, alpha=.15, lw=0)
            ax.plot(90, .1, "o", ms=4, alpha=.6, mew=0, color=colour)
        raw, small = io.BytesIO(), _palette(figure)
        figure.savefig(raw, dpi=figure.dpi)
        whole, flat = (np.asarray(Image.open(io.BytesIO(b)).convert("RGB"), float) for b in (raw.getvalue(), small))
        assert whole.shape == flat.shape and abs(whole - flat).max() <= 48 and len(small) < .6 * len(raw.getvalue())
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


def test_a_tree_is_drawn_with_its_notes(tmp_path):
    branches(tree(tmp_path, "real/b.mp4", "a.txt"), {tmp_path / "real": "a class"})
    seen = [t.get_text() for t in plt.gca().texts if t.get_text()]
    assert seen == ["a.txt", "real/", "a class", "b.mp4"]
    plt.close()


def test_an_inventory_is_drawn_as_it_is_printed():
    found = Found("a set", [Face(Path(f"{k}.mp4"), k > 2, "train", str(k)) for k in range(4)], ["12 notes, each of them a sentence"], {("real", "train"): 5})
    stock(inventory(found))
    ax = plt.gca()
    assert [t.get_text() for t in ax.get_yticklabels()] == ["real, train", "fake, train"]
    assert [b.get_width() for b in ax.patches] == [3, 1, 2, 0]
    plt.close()


def test_tree(tmp_path):
    tree(tmp_path, "a/01__b.mp4", c__d="text")                       # a file's own name may have two strokes
    assert (tmp_path / "a/01__b.mp4").read_bytes() == b"" and (tmp_path / "c/d").read_text() == "text"


def test_a_strip_shows_every_position():
    def draw(ax, v):
        ax.plot([0, v], label="a line")
        finish(ax, "time, s", "height, m")
    strip(draw, "v", (1, 2.5))
    seen = [(ax.get_title(), ax.get_ylabel(), bool(ax.get_legend())) for ax in plt.gcf().axes]
    assert seen == [("v 1", "height, m", False), ("v 2.5", "", True)]          # one scale, one legend
    plt.close()


def test_a_knob_needs_no_ipywidgets(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)             # as if it were not installed
    knob(lambda ax, v: None, "v", (1, 2))
    assert "pip install ipywidgets" in capsys.readouterr().out and not plt.get_fignums()


def test_a_knob_turns(monkeypatch):
    "Through the positions of its strip, one picture at a time; `interact` is called as ipywidgets wants it."
    if find_spec("ipywidgets"):
        import ipywidgets
        assert ipywidgets.SelectionSlider(options=[("1", 1), ("2", 2)], description="v").value == 1
    slider, drawn = lambda options, description: (options, description), []
    def interact(f, value):
        assert value == ([("1", 1), ("2.5", 2.5)], "v")
        for _, v in value[0]:
            f(value=v)
    monkeypatch.setitem(sys.modules, "ipywidgets", SimpleNamespace(SelectionSlider=slider, interact=interact))
    monkeypatch.setattr(plt, "show", plt.close)
    knob(lambda ax, v: drawn.append(v), "v", (1, 2.5))
    assert drawn == [1, 2.5] and not plt.get_fignums()


def test_knobs_stand_under_their_strips():
    "At most five in the course; each is passed over by whoever runs the page, is stored without output, and turns what a strip has drawn."
    turned = 0
    for path in PAGES:
        cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
        source = ["".join(c["source"]) for c in cells]
        for k, cell in enumerate(cells):
            for draw in re.findall(r"^knob\((\w+),", source[k], re.M):
                turned += path.parent == ROOT / "nbs"
                assert source[k].startswith("#| eval: false\n") and not cell["outputs"], f"{path.name}: a knob that is run"
                assert any(f"strip({draw}," in s for s in source[:k]), f"{path.name}: no strip above the knob of {draw}"
    assert turned <= 5


def test_only_faces_need_jpeg():
    figure, (left, right) = plt.subplots(1, 2)
    left.imshow(np.zeros((4, 4)))                                               # a heat map is a drawing
    assert not _in_colour(figure)
    right.imshow(np.zeros((4, 4, 3)))
    assert _in_colour(figure)
