"""What tests of robots of one's own share."""

from pathlib import Path

import pytest

from limbshift.envs.mjcf.robot import MjcfRobot
from tests.envs.robots.own_robots import CRAWLER


@pytest.fixture
def crawler(tmp_path: Path) -> MjcfRobot:
    path = tmp_path / "crawler.xml"
    path.write_text(CRAWLER)
    return MjcfRobot.from_xml(path)
