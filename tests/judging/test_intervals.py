"""Intervals that hold, decided by the numbers of units alone."""
import numpy as np
import pytest
from scipy.stats import norm

from infobottle_dfd.core import InputError
from infobottle_dfd.experiments.intervals import scores as drawn
from infobottle_dfd.judging.intervals import difference, holm, influence, interval


def covered(auc, units, shape, sets=400):
    "Share of intervals that hold the truth, and of differences."
    rng, held, zero = np.random.default_rng(int(auc * 100) + units), 0, 0
    y = np.repeat([0, 1], units)
    for _ in range(sets):
        common, a, b = rng.normal(size=(3, 2 * units))
        p, q = (drawn(shape, auc, norm.cdf((common + e) / 2 ** .5), y) for e in (a, b))
        ends, (_, low, high) = interval(y, p, range(2 * units)), difference(y, p, q, range(2 * units))
        held, zero = held + bool(ends and ends[0] <= auc <= ends[1]), zero + (low <= 0 <= high)
    return held / sets, zero / sets


@pytest.mark.parametrize("auc, units", [(.75, 5), (.96, 5), (.96, 10), (.96, 30), (.99, 5), (.99, 30)])
def test_intervals_hold(auc, units):
    "The bootstrap held in 66, 79 and 90 % at .96; four standard deviations of 400 draws below .93 are .88."
    for shape in ("binormal", "skewed"):
        assert min(covered(auc, units, shape)) > .91


def test_an_interval_is_printed_by_numbers_alone():
    y = np.repeat([0, 1], 5)
    assert interval(y, np.arange(10.), range(10))[0] < .7                   # all ranked correctly: no point
    assert interval(y, np.zeros(10), range(10)) and interval(y[:9], np.arange(9.), range(9)) is None
    same = difference(y, np.arange(10.), np.arange(10.), range(10))
    assert same[0] == 0 and same[1] < -.1 and same[2] > .1                  # nothing met tells them apart


def test_frames_are_no_units():
    rng, y = np.random.default_rng(0), np.repeat([0, 1], 100)
    p, film = rng.normal(size=200) + y, np.arange(200) // 10
    p = p + 2 * rng.normal(size=20)[film]
    wide, narrow = (np.diff(interval(y, p, g))[0] for g in (film, range(200)))
    assert wide > 1.5 * narrow


def test_holm():
    ten = [(.1, .02, .18)] * 10
    assert holm(ten[:1])[0] < .05 < min(holm(ten)) and holm([(.1, None, None), *ten[:1]])[0] is None


def test_scores_that_are_no_numbers_have_no_interval():
    "NaN was ranked above all others, a third label passed over."
    y, p = np.repeat([0, 1], 6), np.arange(12.)
    for labels, scores in ((y, np.where(p == 2, np.nan, p)), (np.where(p == 2, 2, y), p)):
        with pytest.raises(InputError):
            interval(labels, scores, range(12)) or influence(labels, scores, range(12))
        with pytest.raises(InputError):
            difference(labels, scores, p, range(12))
    with pytest.raises(InputError, match="units must have one entry a face"):
        interval(y, p, range(11))


def test_a_difference_ends_where_the_scale_ends():
    "AUC 1 against AUC 0 on five units a class: the upper end was above 1. Its p-value does not shrink for the cut."
    y, p = np.repeat([0, 1], 5), np.arange(10.)
    for one, other, sign in ((p, -p, 1), (-p, p, -1)):
        d, low, high = difference(y, one, other, range(10))
        assert d == sign and -1 <= low <= high <= 1 and abs(low if d > 0 else high) < 1
        s = (d - low if d > 0 else high - d) / norm.ppf(.975)
        assert holm([(d, low, high)])[0] == pytest.approx(2 * norm.sf(1 / s))


def test_labels_are_looked_at_before_units_are_counted():
    "Labels -1 and 1 were called too few units."
    with pytest.raises(InputError, match="labels must be 0"):
        interval(np.repeat([-1, 1], 6), np.arange(12.), range(12))
