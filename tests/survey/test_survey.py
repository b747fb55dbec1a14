"""Every robot of other projects is trained on with physics that follow the task, or refused in one line."""

import json
import subprocess

import pytest

from tests.survey.__main__ import RESULTS, main
from tests.survey.page import is_whole

LOST_IN_SCENERY = 0.01
"""Share of the picture below which a robot is hidden: it has nothing to show, or stands inside of its target."""


@pytest.mark.slow
def test_no_robot_of_other_projects_fails() -> None:
    """An hour where nothing was surveyed yet; what was is kept in .cache/survey."""
    try:
        main()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the packages of the other projects cannot be fetched: {error}")
    results = json.loads(RESULTS.read_text())
    assert len(results) > 100
    assert not [name for name, found in results.items() if "failed" in found]
    assert all("\n" not in found["refused"] for found in results.values() if "refused" in found)
    trained = {name: found for name, found in results.items() if "families" in found}
    assert sum(map(is_whole, trained.values())) > 0.95 * len(results)
    for name, found in trained.items():
        assert all(each["finite"] for each in found["families"].values() if "finite" in each), name
        assert found["frame"] < LOST_IN_SCENERY or 0.3 < found["frame"] < 0.67, name
