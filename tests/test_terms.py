"""Whoever reads the short way from 01 on meets no term before the cell that defines it. (00_start shows the whole before the parts.)"""
import json
import re

import pytest
from helpers import ROOT

SHORT_WAY = ("01_information", "02_opinions", "05_blocks", "06_aggregation", "07_losses", "11_training")
# A term, as it is looked for; the page that defines it; words of the defining text.
TERMS = (
    ("blocks?", "01_information", "Several networks, called **blocks**"),
    ("fusion", "01_information", "A **fusion layer** merges all"),
    ("global representation", "01_information", "into one **global representation** $G$"),
    ("entropy", "01_information", "How many fair coins is a variable worth?"),
    ("conditional entropy", "01_information", "the **conditional entropy**, is"),
    ("mutual information", "01_information", "the fall in uncertainty about $a$"),
    ("KL|divergences?", "01_information", r"\mathrm{KL}[p\,\|\,q] = \sum p \log \frac{p}{q}"),
    ("conditional sum", "01_information", "the **conditional sum**, large"),
    ("opinions?", "02_opinions", "An **opinion** is a distribution over the label"),
    ("posteriors?", "02_opinions", "statisticians say **posterior**"),
    ("heads?", "02_opinions", "they compare the opinions of **heads**, small layers"),
    ("cross-entrop(y|ies)", "02_opinions", "What an opinion costs is its **cross-entropy**"),
    ("(upper|lower) \\**bounds?", "02_opinions", "So it is an upper **bound**"),
    ("logits?", "02_opinions", "An opinion is written as a **logit**"),
    ("clues?", "02_opinions", "four binary **clues**"),
    ("local representations?", "05_blocks", "its **local representation** $z_i=f_i(x)$"),
    ("backbones?", "05_blocks", "Inside a block sits a **backbone**"),
    ("temperature", "07_losses", "a **temperature** `T` divides them"),
    ("witness(es)?", "07_losses", "through a linear head of its own, a *witness*"),
    ("epochs?", "11_training", "the best **epoch** (a pass over the training faces)"),
    ("AUCs?", "11_training", "the **AUC** (the chance that a fake scores above a real face)"),
    ("arms?", "11_training", "Four ways to train, or **arms**"),
)


@pytest.fixture(scope="module")
def prose():
    "The text of each page. Titles, promises, blocks of code and where links lead are no prose."
    cells = lambda page: json.loads((ROOT / f"nbs/{page}.ipynb").read_text())["cells"]
    text = {page: "\n\n".join("".join(c["source"]) for c in cells(page) if c["cell_type"] == "markdown") for page in SHORT_WAY}
    return {page: re.sub(r"```.*?```|\]\([^)]*\)|^[#>].*?$", " ", t, flags=re.S | re.M) for page, t in text.items()}


@pytest.mark.parametrize("term, page, words", TERMS, ids=[t[0] for t in TERMS])
def test_defined_before_used(term, page, words, prose):
    assert words in prose[page], f"{page} no longer says: {words}"
    before = [prose[p] for p in SHORT_WAY[:SHORT_WAY.index(page)]] + [prose[page].split(words)[0]]
    used = [t[max(0, m.start() - 60):m.end() + 30] for t in before for m in re.finditer(rf"\b({term})\b", t, re.I)]
    assert not used, f"'{term}' is used before {page} defines it: {used}"
