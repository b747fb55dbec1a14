"""The files of robots of one's own: what is refused, and how they are kept."""

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import mujoco
import pytest
import torch
from PIL import Image

from limbshift.envs.errors import InputError
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.mjcf.source import MjcfSource, same_models
from limbshift.experiments.cli import main
from limbshift.experiments.runs.directory import robot_file
from tests.envs.robots.own_robots import CRAWLER, FIXED, TRAVELLERS, begun, each_of

pytestmark = pytest.mark.filterwarnings("ignore:.*settotalmass")  # half-cheetah's XML uses this deprecated attribute


@pytest.mark.parametrize(
    ("mjcf", "message"),
    [
        ("<mujoco><wrldbody/></mujoco>", "unrecognized element Element 'wrldbody', line 1"),
        ("<mujoco><worldbody><body><geom size='0'/></body></worldbody></mujoco>", "size 0 must be positive"),
        ("<mujoco><worldbody><body><geom size='1'/></body></worldbody></mujoco>", "has no actuators"),
        ("<mujoco><include file='none.xml'/></mujoco>", "none.xml cannot be read: No such file"),
        (CRAWLER.replace(' ctrlrange="-0.5 1.5"', ""), "actuator servo of robot .* has no ctrlrange"),
        ("", "robot .*robot.xml is empty, expected an MJCF file"),
        ("hello", "robot .*robot.xml is not XML: .*, expected an MJCF file"),
        ("<html></html>", "does not compile: .*html"),
    ],
)
def test_what_is_no_robot_is_refused(
    tmp_path: Path, refused: Callable[[Path, str], None], mjcf: str, message: str
) -> None:
    path = tmp_path / "robot.xml"
    path.write_text(mjcf)
    refused(path, message)


@pytest.fixture
def refused(
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Path, str], None]:
    """Checks that a file is refused with one line, MuJoCo's own included, and that no run is begun."""
    monkeypatch.chdir(tmp_path)

    def check(path: Path, message: str) -> None:
        with pytest.raises(InputError, match=message):
            MjcfRobot.from_xml(path)
        capfd.readouterr()
        assert main(["train", "--robot", str(path), "--run-dir", "run"]) == 2
        err = capfd.readouterr().err
        assert err.count("\n") == 1
        assert err.startswith("limbshift: ")
        assert re.search(message, err)
        assert not caplog.records  # which, outside of a test, are printed too
        assert not Path("run").exists()

    return check


def test_a_path_that_is_no_file_is_refused(tmp_path: Path, refused: Callable[[Path, str], None]) -> None:
    refused(Path("nothere.xml"), "robot nothere.xml does not exist, expected an MJCF file")
    refused(tmp_path, "is a directory, expected an MJCF file")
    refused(Path("/dev/null"), "robot /dev/null is no regular file, expected an MJCF file")
    Path("robot").write_text(CRAWLER)
    refused(Path("robot"), r"robot robot does not end in \.xml, expected an MJCF file")
    Path("unreadable.xml").symlink_to("/proc/self/mem")  # of which not even root reads the first byte
    refused(Path("unreadable.xml"), "cannot be read: Input/output error, expected an MJCF file")


def test_names_that_could_not_be_kept_or_shown_are_refused(
    tmp_path: Path, refused: Callable[[Path, str], None]
) -> None:
    long = tmp_path / f"{'x' * 201}.xml"
    long.write_text(CRAWLER)
    refused(long, "name of robot x* has 201 characters, expected at most 200$")
    refused(tmp_path / "r\udcff.xml", r"path of robot .*r\\udcff\.xml is not UTF-8, expected one that MuJoCo can open$")
    refused(tmp_path / "two\nlines.xml", r"robot .*two\\nlines\.xml does not exist, expected an MJCF file$")


TETRAHEDRON = "v 0 0 0\nv .2 0 0\nv 0 .3 0\nv 0 0 .41234567891\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"

MESHED = CRAWLER.replace("<worldbody>", '<include file="{parts}/assets.xml"/><worldbody>').replace(
    '<geom type="box" size="0.2 0.1 0.05" mass="2"/>',
    '<geom type="mesh" mesh="shell" material="skin" euler="11.123456789 0 3"/><geom type="mesh" mesh="named"/>',
)

ASSETS = """<mujocoinclude>
  <!-- two -- hyphens -->
  <compiler meshdir="{meshes}"/>
  <asset>
    <mesh file="shell.obj"/>
    <mesh name="named" file="more/shell.obj"/>
    <texture name="skin" type="2d" file="{meshes}/skin.png"/>
    <material name="skin" texture="skin"/>
  </asset>
</mujocoinclude>"""


def meshed(folder: Path, absolute: bool) -> Path:
    """A robot whose assets are named by a file in a folder beside its own, and lie in a third one."""
    for name in ("robot", "parts", "meshes/more"):
        (folder / name).mkdir(parents=True)
    parts, meshes = (str(folder / name) if absolute else f"../{name}" for name in ("parts", "meshes"))
    (folder / "meshes" / "shell.obj").write_text(TETRAHEDRON)
    (folder / "meshes" / "more" / "shell.obj").write_text(TETRAHEDRON.replace(".2", ".25"))
    Image.new("RGB", (2, 2), (255, 0, 0)).save(folder / "meshes" / "skin.png")
    (folder / "parts" / "assets.xml").write_text(ASSETS.format(meshes=meshes))
    path = folder / "robot" / "meshed.xml"
    path.write_text(MESHED.format(parts=parts))
    return path


def trajectory(robot: MjcfRobot) -> torch.Tensor:
    """(T, N, obs) of random actions."""
    env = begun(robot)
    actions = torch.rand(20, 2, env.action_dim, generator=torch.Generator().manual_seed(0))
    return torch.stack([(env.step(2 * action - 1), env.observe())[1] for action in actions])


@pytest.mark.parametrize("absolute", [False, True])
def test_a_robot_is_kept_with_all_of_its_files(tmp_path: Path, absolute: bool) -> None:
    source = tmp_path / "source"
    robot = MjcfRobot.from_xml(meshed(source, absolute), allow_outside=True)
    robot.save(tmp_path / "robot.zip")
    shutil.rmtree(source)
    loaded = MjcfRobot.load(tmp_path / "robot.zip", "meshed")
    assert same_models(loaded.model, robot.model)
    assert torch.equal(trajectory(loaded), trajectory(robot))
    loaded.save(tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "robot.zip").read_bytes()


@pytest.mark.parametrize("absolute", [False, True])
def test_files_outside_a_robots_directory_are_not_read(tmp_path: Path, absolute: bool) -> None:
    path = meshed(tmp_path, absolute)
    with pytest.raises(InputError, match=r"refers to .*assets\.xml, which is outside its directory: .*--allow-outside"):
        MjcfRobot.from_xml(path)
    inner = tmp_path / "robot" / "inner.xml"
    inner.write_text(
        CRAWLER.replace("<worldbody>", '<asset><hfield name="a" file="../secret.png"/></asset><worldbody>')
    )
    Image.new("L", (2, 2)).save(tmp_path / "secret.png")
    with pytest.raises(InputError, match=r"refers to .*secret\.png, which is outside"):
        MjcfRobot.from_xml(inner)
    (tmp_path / "robot" / "link.png").symlink_to(tmp_path / "secret.png")
    inner.write_text(inner.read_text().replace("../secret.png", "link.png"))
    with pytest.raises(InputError, match=r"refers to .*link\.png, which is outside"):
        MjcfRobot.from_xml(inner)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"robot.xml": '<mujoco><include file="/etc/hosts.xml"/></mujoco>'},
            "refers to /etc/hosts.xml, expected",
        ),
        (
            {"robot.xml": '<mujoco><asset><mesh file="../a.obj"/></asset></mujoco>'},
            "refers to ../a.obj, expected",
        ),
        ({"robot.xml": '<mujoco><compiler meshdir="/"/></mujoco>'}, "refers to /, expected files in the archive alone"),
        ({"robot.xml": "<mujoco"}, "is not XML"),
        ({"other.xml": "<mujoco/>"}, "holds no robot.xml"),
        ({f"{number}": "" for number in range(5_001)}, "holds 5001 files, expected at most 5000"),
        ({"robot.xml": "<mujoco/>", "a": "0" * (2**29 + 1)}, "would unpack to 536870922 bytes, expected at most"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_an_archive_that_reaches_outside_is_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with zipfile.ZipFile(tmp_path / "robot.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    with pytest.raises(InputError) as caught:
        MjcfRobot.load(tmp_path / "robot.zip", "x")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@each_of([*TRAVELLERS, *FIXED])
def test_a_robot_of_another_project_is_kept(xml: Path, tmp_path: Path) -> None:
    robot = MjcfRobot.from_xml(xml)
    robot.save(tmp_path / "robot.zip")
    assert same_models(MjcfRobot.load(tmp_path / "robot.zip", xml.stem).model, robot.model)


def test_a_robot_with_a_model_in_it_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "shell.obj").write_text(TETRAHEDRON)
    (source / "leg.xml").write_text(
        '<mujoco model="leg"><asset><mesh file="shell.obj"/></asset><worldbody><body name="foot">'
        '<joint/><geom type="mesh" mesh="shell"/></body></worldbody></mujoco>'
    )
    (source / "robot.xml").write_text(
        CRAWLER.replace("<worldbody>", '<asset><model name="leg" file="leg.xml"/></asset><worldbody>')
        .replace("</worldbody>", '<attach model="leg" body="foot" prefix="l_"/></worldbody>')
        .replace('0 0.3"', '0 0.3 0"')
    )
    robot = MjcfRobot.from_xml(source / "robot.xml")
    robot.save(tmp_path / "robot.zip")
    shutil.rmtree(source)
    assert torch.equal(trajectory(MjcfRobot.load(tmp_path / "robot.zip", "robot")), trajectory(robot))


def test_a_changed_file_is_not_kept_for_another(crawler: MjcfRobot, tmp_path: Path) -> None:
    heavier = MjcfSource({"robot.xml": CRAWLER.replace('mass="2"', 'mass="3"').encode()})
    with pytest.raises(InputError, match="robot crawler cannot be kept"):
        MjcfRobot(crawler.model, "crawler", heavier).save(tmp_path / "robot.zip")
    assert not (tmp_path / "robot.zip").exists()


def test_a_compiled_model_is_not_loaded(crawler: MjcfRobot, tmp_path: Path) -> None:
    """MuJoCo trusts what it reads from one: of 300 that were altered, some ended the process."""
    mujoco.mj_saveModel(crawler.model, str(tmp_path / "robot.mjb"))
    assert robot_file(tmp_path) == tmp_path / "robot.mjb"
    with pytest.raises(InputError, match=r"robot\.mjb is a compiled model, .*: expected robot\.zip"):
        MjcfRobot.load(tmp_path / "robot.mjb", "crawler")
    crawler.save(tmp_path / "robot.zip")
    assert robot_file(tmp_path) == tmp_path / "robot.zip"


def test_a_broken_archive_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "robot.zip"
    path.write_bytes(b"no model")
    with pytest.raises(InputError, match=r"cannot be read: .* expected an archive"):
        MjcfRobot.load(path, "x")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(InputError, match=r"holds no robot\.xml, expected an archive of a robot"):
        MjcfRobot.load(tmp_path / "empty.zip", "x")
    assert not capfd.readouterr().err
    assert not caplog.records


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("[" * 100_000, "recursion limit exceeded"),
        ('{"fall_height":[],"fall_tilt":{}}', r"fall_height.* is \[\], expected"),
        ('{"fall_height":true,"fall_tilt":1}', "fall_height.* is True, expected"),
        ('{"fall_height":0.5}', "rule lacks fall_tilt"),
        ("{", "EOF"),
    ],
    ids=["deep", "lists", "bool", "half", "cut"],
)
def test_a_broken_fall_rule_is_refused(tmp_path: Path, rule: str, message: str) -> None:
    MjcfSource({"robot.xml": CRAWLER.encode(), "fall_rule.json": rule.encode()}).write(tmp_path / "robot.zip")
    with pytest.raises(InputError, match=rf"^.*robot\.zip holds a broken fall_rule\.json: .*{message}.*an archive"):
        MjcfRobot.load(tmp_path / "robot.zip", "x")


def test_a_ground_that_is_given_is_checkered_and_leaves_the_camera_near(tmp_path: Path) -> None:
    xml = """<mujoco><worldbody><body name="ball" pos="0 0 1"><freejoint/><geom size="0.1"/>
    <body><joint name="arm"/><geom size="0.05"/></body></body></worldbody>
    <actuator><motor joint="arm" ctrlrange="-1 1"/></actuator></mujoco>"""
    (tmp_path / "ball.xml").write_text(xml)
    robot = MjcfRobot.from_xml(tmp_path / "ball.xml")
    (material,) = robot.model.geom_matid[robot.model.geom_type == int(mujoco.mjtGeom.mjGEOM_PLANE)]
    assert material >= 0
    assert robot.model.nlight == 1
    assert robot.camera["distance"] < 5, "a floor of 80 m would have set it"
