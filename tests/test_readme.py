"""What the README shows must run."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()

ROBOT = """
<mujoco>
  <worldbody>
    <body name="trunk" pos="0 0 0.4">
      <freejoint/>
      <geom type="box" size="0.2 0.1 0.05" mass="2"/>
      <body name="shin">
        <joint name="knee" type="hinge" axis="0 1 0" range="-60 90"/>
        <geom type="capsule" size="0.03" fromto="0 0 0 0 0 -0.3" mass="0.5"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor joint="knee" gear="20" ctrlrange="-1 1"/></actuator>
</mujoco>
"""


@pytest.mark.parametrize("number", [0, 1])
def test_the_readmes_python_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)[number]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    Path("my_robot.xml").write_text(ROBOT)
    exec(code.replace("minutes=10", "steps=1, num_envs=4, horizon=5, hidden_size=8"), {"__name__": "readme"})
