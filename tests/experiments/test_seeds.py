"""Two arms are compared over the seeds they share."""
import matplotlib.pyplot as plt
import pytest
from scipy.stats import t as student

from infobottle_dfd.core import InputError
from infobottle_dfd.experiments.seeds import against, by_seed, colour_of, compare, dots, forest

MADE = [{"arm": a, "seed": s, "auc": v} for a, values in (("A", (.5, .6, .7)), ("B", (.6, .8, .7, .9))) for s, v in enumerate(values)]


def auc(c):
    "The number that is compared."
    return c["auc"]


def test_the_interval_is_students_over_common_seeds():
    d = compare(MADE, "B", "A", auc)
    each = [.1, .2, 0.]
    mean = sum(each) / 3
    half = student.ppf(.975, 2) * (sum((v - mean) ** 2 for v in each) / 2) ** .5 / 3 ** .5
    assert d.seeds == (0, 1, 2) and d[:3] == pytest.approx((mean, mean - half, mean + half))
    assert not d.sure and str(d).endswith("n.s.")
    back = compare(MADE, "A", "B", auc)
    assert back[:3] == pytest.approx((-d.mean, -d.high, -d.low))


def test_unpaired_takes_all_seeds():
    d = compare(MADE, "B", "A", auc, paired=False)
    assert d.mean == pytest.approx(.75 - .6) and d.seeds == (0, 1, 2, 3)


def test_too_few_seeds_and_double_cells_are_named():
    with pytest.raises(InputError, match="two seeds that both have"):
        compare(MADE[:1] + MADE[3:], "B", "A", auc)
    with pytest.raises(InputError, match="two cells of seed 0"):
        by_seed(MADE + MADE[:1], "A", auc)


def test_against_one_arm():
    "Two common seeds and more: as compare; one: the bare difference, never sure; none: no row."
    some = [*MADE, {"arm": "C", "seed": 1, "auc": .65}, {"arm": "D", "seed": 9, "auc": .65}]
    rows = against(some, ["A", "B", "C", "D"], "A", auc)
    assert [*rows] == ["B", "C"] and rows["B"] == compare(MADE, "B", "A", auc)
    assert rows["C"].mean == pytest.approx(.05) and rows["C"].seeds == (1,) and not rows["C"].sure and str(rows["C"]) == "+0.050 (one seed)"


def test_pictures_of_arms():
    "A variant has the colour of its arm; one seed is a cross and is called so, in both pictures; an arm without cells is an empty row."
    colours = {"places": "#009E73", "sd": "#F0E442"}
    assert colour_of("places, pairs, thick masks", colours) == colours["places"] and colour_of("sd@0.02", colours) == colours["sd"]
    assert colour_of("one wide block", colours) == "#999999"
    _, (left, right) = plt.subplots(1, 2)
    forest(left, {"B": compare(MADE, "B", "A", auc), "C": against([*MADE, {"arm": "C", "seed": 1, "auc": .65}], ["C"], "A", auc)["C"], "D": None}, {})
    dots(right, {"A": by_seed(MADE, "A", auc), "C": {1: .65}, "D": {}}, {})
    said = [[t.get_text() for t in ax.get_yticklabels()] for ax in (left, right)]
    assert said == [["B (3)", "C (one seed)", "D"], ["A (3)", "C (one seed)", "D"]] and "x" in {line.get_marker() for line in left.lines}
