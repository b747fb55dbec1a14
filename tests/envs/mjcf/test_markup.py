"""What is hidden from a reader of XML, but not from MuJoCo, is refused; so are files that are more than files."""

import os
import zipfile
from pathlib import Path

import pytest

from limbshift.envs.errors import InputError
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.mjcf.source import MAX_MODELS
from tests.envs.robots.own_robots import CRAWLER, written

HARM = '<size nuserdata="2000000000"/>'
BODY = CRAWLER.strip().removeprefix("<mujoco>")
ATTACHED = '<mujoco><asset><model name="next" file="{}"/></asset><worldbody><body name="a"/></worldbody></mujoco>'
URDF = """<robot name="u"><mujoco><compiler strippath="false"/></mujoco><link name="a"><collision><geometry>
<mesh filename="/etc/shell.obj"/></geometry></collision></link></robot>"""


def refused(folder: Path, files: dict[str, str], message: str) -> None:
    """Checks that neither a directory nor an archive of these files gives a robot: robot.xml, and what it refers to."""
    for name, content in files.items():
        (folder / name).write_text(content)
    with zipfile.ZipFile(folder / "robot.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    for name in ("robot.xml", "robot.zip"):
        with pytest.raises(InputError, match=message) as caught:
            MjcfRobot.from_xml(folder / name) if name == "robot.xml" else MjcfRobot.load(folder / name, "x")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("mjcf", "message"),
    [
        (
            f"<mujoco><custom><![CDATA[<!-- ]]></custom>{HARM}<custom><![CDATA[-->]]></custom>{BODY}",
            "holds a CDATA",
        ),
        (f'<!DOCTYPE mujoco [<!ENTITY a "b">]><mujoco>{BODY}', "holds a DOCTYPE, expected an MJCF file$"),
        (f'<!DOCTYPE mujoco [<!ENTITY a "<!--">]><mujoco>{HARM}{BODY}<!-- -->', "holds a DOCTYPE, expected"),
        (f"<?x <!-- ?><mujoco>{HARM}{BODY}<!-- -->?><mujoco/>", "holds a processing instruction, expected"),
        (
            f'<mujoco><custom><text name="<!--" data="a"/></custom>{HARM}<custom><text name="-->" data="b"/></custom>'
            + BODY,
            "is not XML: not well-formed",
        ),
        (f"<mujoco xmlns='http://a.b/c'>{HARM}{BODY}", "nuserdata of size is 2000000000, expected at most"),
    ],
    ids=["CDATA", "DOCTYPE", "DOCTYPE around", "instruction", "attribute", "namespace"],
)
def test_nothing_is_hidden_from_the_checks(tmp_path: Path, mjcf: str, message: str) -> None:
    refused(tmp_path, {"robot.xml": mjcf}, message)


def test_comments_are_ignored_wherever_mujoco_ignores_them(tmp_path: Path) -> None:
    comments = f"<!-- -- {HARM} ---><!--><!-- > & -->"
    plain = written(tmp_path, CRAWLER)
    commented = written(tmp_path, f'<?xml version="1.0" encoding="utf-8"?>{comments}<mujoco>{comments}{BODY}{comments}')
    assert commented.model.nbody == plain.model.nbody


def test_elements_in_elements_without_end_are_refused(tmp_path: Path) -> None:
    refused(
        tmp_path, {"robot.xml": f"<mujoco>{'<body>' * 5000}{'</body>' * 5000}</mujoco>"}, "nests too deep, expected"
    )


@pytest.mark.parametrize("name", ["u.xml", "u.urdf"])
def test_attached_urdf_is_refused(tmp_path: Path, name: str) -> None:
    mjcf = CRAWLER.replace("<worldbody>", f'<asset><model name="u" file="{name}"/></asset><worldbody>')
    refused(tmp_path, {"robot.xml": mjcf, name: URDF}, "is a URDF, expected|expected files in the archive alone")


def test_an_archive_reads_as_mjcf_what_was_checked_alone(tmp_path: Path) -> None:
    for element in ('<asset><model name="u" content_type="text/xml" file="a.txt"/></asset>', '<include file="a.txt"/>'):
        with zipfile.ZipFile(tmp_path / "robot.zip", "w") as archive:
            archive.writestr("robot.xml", f"<mujoco>{element}{BODY}")
            archive.writestr("a.txt", '<mujoco><include file="/etc/robot.xml"/></mujoco>')
        with pytest.raises(InputError, match="expected files in the archive alone"):
            MjcfRobot.load(tmp_path / "robot.zip", "x")


def test_what_a_model_asks_for_is_checked(tmp_path: Path) -> None:
    files = {"robot.xml": ATTACHED.format("a.xml"), "a.xml": f"<mujoco>{HARM}</mujoco>"}
    refused(tmp_path, files, "nuserdata of size is 2000000000, expected at most")


@pytest.mark.parametrize("names", [["robot"], ["robot", "other"], ["robot", *(str(n) for n in range(MAX_MODELS + 1))]])
def test_models_that_attach_themselves_are_refused(tmp_path: Path, names: list[str]) -> None:
    following = [*names[1:], names[0]]
    files = {f"{name}.xml": ATTACHED.format(f"{other}.xml") for name, other in zip(names, following, strict=True)}
    refused(tmp_path, files, f"attaches a model to itself, or too many, expected at most {MAX_MODELS}$")


def test_models_that_double_at_each_level_are_refused(tmp_path: Path) -> None:
    element = '<model name="{0}" file="{1}.xml"/>'
    twice = {n: element.format("a", n + 1) + element.format("b", n + 1) for n in range(40)}
    files = {f"{n}.xml": f"<mujoco><asset>{models}</asset></mujoco>" for n, models in twice.items()}
    refused(tmp_path, {**files, "robot.xml": ATTACHED.format("0.xml"), "40.xml": "<mujoco/>"}, "or too many, expected")


def test_a_pipe_is_no_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "robot.zip")
    with pytest.raises(InputError, match=r"robot\.zip is no regular file, expected an archive of a robot$"):
        MjcfRobot.load(tmp_path / "robot.zip", "x")


@pytest.mark.parametrize(
    "element",
    ['<include file="pipe"/>', '<asset><mesh name="m" file="pipe"/></asset>', '<asset><model file="pipe"/></asset>'],
)
def test_a_pipe_is_not_read(tmp_path: Path, element: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe is no regular file, expected a file that a robot includes$"):
        written(tmp_path, CRAWLER.replace("<worldbody>", f"{element}<worldbody>"))
