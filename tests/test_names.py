"""What `import infobottle_dfd` offers, lazily."""
import importlib
import pkgutil

import pytest

import infobottle_dfd


def test_every_name_is_there_and_is_no_module():
    modules = {m.name.split(".")[-1] for m in pkgutil.walk_packages(infobottle_dfd.__path__)}
    for name, room in infobottle_dfd._ROOMS.items():
        assert getattr(infobottle_dfd, name) is getattr(importlib.import_module(f"infobottle_dfd.{room}"), name) and name in dir(infobottle_dfd)
    assert not modules & set(infobottle_dfd._ROOMS) and 10 <= len(infobottle_dfd._ROOMS) <= 20


def test_what_is_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        infobottle_dfd.nothing
