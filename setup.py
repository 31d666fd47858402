"""Packages `infobottle_dfd`; every fact about the package stands in settings.ini."""
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
parser = ConfigParser(delimiters=["="])
parser.read(here / "settings.ini", encoding="utf8")
cfg = parser["DEFAULT"]
readme = (here / "README.md").read_text(encoding="utf8")
readme = re.sub(r"!?\[([^\]]+)\]\((?!https?:)[^)\s]+\)", r"\1", readme)     # away from the repository a link into it leads nowhere
lines = lambda key: [line for line in cfg[key].split("\n") if line.strip()]

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    keywords=cfg["keywords"],
    author=cfg["author"],
    license="Apache-2.0",
    long_description=readme,
    long_description_content_type="text/markdown",
    packages=find_packages(include=[cfg["lib_path"], cfg["lib_path"] + ".*"]),
    python_requires=">=" + cfg["min_python"],
    install_requires=lines("requirements"),
    extras_require={"faces": lines("faces_requirements"), "dev": lines("faces_requirements") + lines("dev_requirements")},
    entry_points={"console_scripts": lines("console_scripts")},
    zip_safe=False,
)
