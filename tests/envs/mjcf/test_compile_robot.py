"""What is added to a user's file, and what is refused before it could do harm."""

from pathlib import Path

import mujoco
import pytest

from limbshift.envs.errors import InputError
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.mjcf.source import MjcfSource
from tests.envs.robots.own_robots import written

ROBOT = """
<mujoco>{top}<worldbody>{world}
  <body name="{trunk}" pos="0 0 .4"><freejoint/><geom type="box" size=".2 .1 .05" mass="2"/>
    <body pos=".2 0 0"><joint name="knee" axis="0 1 0" range="-60 60"/><geom size=".05" mass=".5"/></body></body>
</worldbody><actuator>{actuators}</actuator></mujoco>"""
MOTOR = '<motor joint="knee" ctrlrange="-1 1"/>'


FLAT = '<asset><texture name="{}" type="2d" builtin="flat" width="8" height="8"/></asset>'


def text(top: str = "", world: str = "", trunk: str = "trunk", actuators: str = MOTOR) -> str:
    return ROBOT.format(top=top, world=world, trunk=trunk, actuators=actuators)


@pytest.mark.parametrize(
    ("mjcf", "kind", "names"),
    [
        (text(), "body", ["trunk", "body_2"]),
        (text(trunk="body_2"), "body", ["body_2", "body_2_2"]),
        (text(actuators=MOTOR.replace("joint", 'name="knee_2" joint', 1) + MOTOR), "actuator", ["knee_2", "knee_2_2"]),
        (text(world='<geom name="ground" size=".1" pos="9 0 0"/>'), "geom", ["ground", "", "", "ground_2"]),
        (text(top=FLAT.format("sky")), "texture", ["sky", "sky_2", "limbshift_ground"]),
        (text(top='<asset><material name="limbshift_ground"/></asset>'), "texture", ["sky", "limbshift_ground_2"]),
    ],
)  # fmt: skip
def test_names_that_are_invented_are_free(tmp_path: Path, mjcf: str, kind: str, names: list[str]) -> None:
    model = written(tmp_path, mjcf).model
    counts = {"body": model.nbody, "actuator": model.nactuator, "geom": model.ngeom, "texture": model.ntex}
    found = [getattr(model, "tex" if kind == "texture" else kind)(number).name for number in range(counts[kind])]
    assert sorted(found[1:] if kind == "body" else found) == sorted(names)


def test_a_plain_floor_is_checkered_and_lit_and_one_with_a_material_is_left_alone(tmp_path: Path) -> None:
    own = '<asset><material name="own" rgba="1 0 0 1"/></asset>'
    planes = '<geom type="plane" size="5 5 .1"/><geom type="plane" size="5 5 .1" material="own"/>'
    model = written(tmp_path, text(top=own, world=planes + '<light pos="0 0 3"/>')).model
    assert [model.mat(model.geom_matid[geom]).name for geom in range(2)] == ["limbshift_ground", "own"]
    assert model.nlight == 1
    dark = written(tmp_path, text(world='<geom type="plane" size="5 5 .1"/>')).model
    assert dark.nlight == 1


REPLICATE = '<replicate count="1000">'
HFIELD = '<asset><hfield name="hills" nrow="9" ncol="9" size="9 9 1 .1"/></asset>'
TILE = '<asset><mesh name="tile" vertex="-9 -9 0 9 -9 0 9 9 0 -9 9 0 -9 -9 -1 9 -9 -1 9 9 -1 -9 9 -1"/></asset>'


@pytest.mark.parametrize(
    ("top", "ground", "needed"),
    [
        (HFIELD, '<geom type="hfield" hfield="hills"/>', False),
        (TILE, '<geom type="mesh" mesh="tile"/>', False),
        ("", '<geom type="box" size="50 50 .1" pos="0 0 -.1"/>', False),
        ("", '<body><geom type="cylinder" size="50 .1" pos="0 0 -.1"/></body>', False),
        ("", '<geom type="plane" size="5 5 .1"/>', False),
        ("", '<geom type="box" size=".5 .5 .1" pos="3 0 0"/>', True),
        ("", '<geom type="box" size="50 50 .1" pos="0 0 -.1" contype="0" conaffinity="0"/>', True),
        ("", "", True),
    ],
    ids=["height field", "mesh", "box", "body", "plane", "beside", "seen alone", "nothing"],
)
def test_a_plane_is_added_where_no_ground_is(tmp_path: Path, top: str, ground: str, needed: bool) -> None:
    def planes(model: mujoco.MjModel) -> int:
        return int((model.geom_type == int(mujoco.mjtGeom.mjGEOM_PLANE)).sum())

    robot = written(tmp_path, text(top=top, world=ground))
    assert planes(robot.model) == needed + ('type="plane"' in ground)
    assert robot.fall_rule.height == 0.5


@pytest.mark.parametrize(
    ("top", "actuators", "message"),
    [
        ('<option timestep="0"/>', MOTOR, "timestep of robot .* is 0 s, expected 2e-05 to 0.1: actions are 0.02 s"),
        ('<option timestep="nan"/>', MOTOR, "has nan in timestep of option, expected a finite number"),
        ('<option timestep="inf"/>', MOTOR, "has inf in timestep of option, expected a finite number"),
        ('<option timestep="1e-300"/>', MOTOR, "timestep of robot .* is 1e-300 s, expected 2e-05 to 0.1"),
        ('<option timestep="1e-9"/>', MOTOR, "timestep of robot .* is 1e-09 s, expected 2e-05 to 0.1"),
        ('<option timestep="-1"/>', MOTOR, "timestep of robot .* is -1 s, expected 2e-05 to 0.1"),
        ('<option timestep="2"/>', MOTOR, "timestep of robot .* is 2 s, expected 2e-05 to 0.1"),
        ('<option wind="0 nan 0"/>', MOTOR, "robot .* has nan in wind of option, expected a finite number"),
        ('<default><geom friction="nan"/></default>', MOTOR, "has nan in friction of geom, expected a finite"),
        ("", '<motor joint="knee" ctrlrange="nan 1"/>', "has nan in ctrlrange of motor, expected a finite number"),
        ("", '<muscle joint="knee" gear="-NaN" ctrlrange="0 1"/>', "has -nan in gear of muscle, expected a finite"),
        ("", '<motor joint="knee" ctrlrange="0 inf"/>', "has the ctrlrange 0 to inf, expected finite numbers"),
        ("", '<motor joint="knee" ctrlrange="1 -1"/>', "has the ctrlrange 1 to -1, expected finite numbers, the lower"),
        ("", '<motor joint="knee" ctrlrange="-1 1.1e10"/>', "has the ctrlrange -1 to 1.1e.10, expected numbers within"),
        ("", '<motor joint="knee" ctrlrange="-1e300 1"/>', "has the ctrlrange -1e.300 to 1, expected numbers within"),
        ('<option><flag sleep="enable"/></option>', MOTOR, "flag sleep of robot .* is enabled, expected it disabled"),
        ("", '<motor joint="knee" ctrlrange="1 1"/>', "has the ctrlrange 1 to 1, expected finite numbers, the lower"),
        ("", '<motor joint="knee" ctrllimited="false" ctrlrange="-1 1"/>', "has no ctrlrange that limits it"),
        ("", '<pid joint="knee" ctrlrange="-1 1"/>', "has 2 controls, expected one"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_refused(
    tmp_path: Path, top: str, actuators: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InputError, match=message) as error:
        written(tmp_path, text(top=top, actuators=actuators))
    assert "\n" not in str(error.value)
    assert not caplog.records, "MuJoCo's own warning says no more"


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ('<size nuserdata="2000000000"/>', "nuserdata of size is 2000000000, expected at most 1000000"),
        ('<size memory="100G"/>', "memory of size is 100G, expected at most 2G"),
        ('<size nuser_body="2000000"/>', "nuser_body of size is 2000000, expected at most 10000"),
        ('<size nkey="2000000000"/>', "nkey of size is 2000000000, expected at most 100000"),
        (
            '<asset><hfield name="h" nrow="100000" ncol="100000" size="1 1 1 1"/></asset>',
            "nrow x ncol of hfield is 100000 x 100000, expected at most 10000000",
        ),
        (
            f"<worldbody>{REPLICATE}{REPLICATE}<geom size='1'/></replicate></replicate></worldbody>",
            "count of replicate makes 1000000 copies, expected at most 100000",
        ),
        (
            '<worldbody><replicate count="1e400"><geom size="1"/></replicate></worldbody>',
            "count of replicate makes inf copies, expected at most 100000",
        ),
        (
            '<worldbody><flexcomp name="f" type="grid" count="1000 1000 1000"/></worldbody>',
            "count of flexcomp is 1000 x 1000 x 1000, expected at most 1000000",
        ),
    ],
)  # fmt: skip
def test_what_would_take_all_memory_is_refused_unread(
    tmp_path: Path, element: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "part.xml").write_text('<mujocoinclude><include file="parts/nested.xml"/></mujocoinclude>')
    (tmp_path / "parts" / "nested.xml").write_text('<mujocoinclude><include file="beside.xml"/></mujocoinclude>')
    (tmp_path / "parts" / "beside.xml").write_text(f"<mujocoinclude>{element}</mujocoinclude>")

    def read(*_: object, **__: object) -> None:
        raise AssertionError("MuJoCo must not see it")

    monkeypatch.setattr(mujoco.MjSpec, "from_file", read)
    monkeypatch.setattr(mujoco.MjSpec, "from_string", read)
    for mjcf in (text(top=element), text(top='<include file="part.xml"/>')):
        with pytest.raises(InputError, match=f"^robot .* is too large: {message}$"):
            written(tmp_path, mjcf)
    MjcfSource({"robot.xml": text(top=element).encode()}).write(tmp_path / "robot.zip")
    with pytest.raises(InputError, match=message):
        MjcfRobot.load(tmp_path / "robot.zip", "robot")


def test_a_model_that_has_become_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbshift.envs.mjcf.size_limits.MAX_BYTES", 10_000)
    with pytest.raises(InputError, match=r"is too large: the model takes 0\.0 GiB, expected at most 0$"):
        written(tmp_path, text(top=FLAT.replace("8", "64").format("skin")))


def test_what_is_large_and_no_more_is_compiled(tmp_path: Path) -> None:
    written(tmp_path, text(top='<size nuserdata="1000" memory="20M" nuser_body="3"/>'))


def test_a_file_that_includes_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "robot.xml").write_text('<mujoco><include file="robot.xml"/></mujoco>')
    with pytest.raises(InputError, match="includes itself, or nests too deep"):
        MjcfRobot.from_xml(tmp_path / "robot.xml")
