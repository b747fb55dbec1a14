"""Methods of the user's own, from a file, beside those that come with limbshift."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from limbshift.envs.errors import InputError
from limbshift.experiments.cli import main
from limbshift.experiments.comparison.config import CompareConfig, portable
from limbshift.experiments.comparison.methods import METHODS
from limbshift.experiments.comparison.trainers import add_own
from limbshift.experiments.figures.comparison_charts import COLOURS, OWN_COLOURS, colour
from limbshift.experiments.jobs.own_files import in_folder

EXAMPLE = Path(__file__).parents[3] / "examples" / "own_method.py"
METHOD = '''
def still(setting, timed):
    """acts not at all"""
    def make_act(env):
        return lambda obs: obs.new_zeros(len(obs), env.task_env.action_dim)
    timed.look({steps}, make_act)
    return make_act

def ppo(setting, timed):
    pass

def short(setting):
    pass

def {long}(setting, timed):
    pass

NUMBER = 1
'''
TINY = ["--steps", "1", "--seeds", "1", "--num-envs", "4", "--horizon", "5", "--tasks", "2", "--episodes", "1"]


@pytest.fixture(autouse=True)
def only_ours_afterwards() -> Iterator[None]:
    before = dict(METHODS)
    yield
    METHODS.clear()
    METHODS.update(before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(METHOD.format(long="n" * 65, steps=7))
    return path


def compare(out: Path, *arguments: str) -> int:
    return main(["compare", "InvertedPendulumBody", "--methods", "no-memory", *TINY, "--out", str(out), *arguments])


def test_the_example_learns_beside_ours(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert compare(out, "--steps", "2000", "--method-files", f"{EXAMPLE}:cross_entropy") == 0
    methods = {each["method"]: each for each in json.loads((out / "results.json").read_text())["methods"]}
    assert list(methods) == ["no-memory", "cross_entropy", "random"]
    assert methods["cross_entropy"]["description"] == "a linear policy of what is sensed, by the cross-entropy method"
    assert methods["cross_entropy"]["steps"] == 2000
    assert "cross_entropy" in (out / "index.html").read_text()


def test_a_method_that_was_changed_is_not_mixed_with_what_it_was(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, own = tmp_path / "out", ["--method-files", f"{file}:still"]
    assert compare(out, *own) == 0
    assert compare(out, *own) == 0, "nothing is left to be trained"
    file.write_text(METHOD.format(long="n" * 65, steps=8))
    assert compare(out, *own) == 2
    assert "still-0.json was trained with code" in capsys.readouterr().err
    METHODS.pop("still")
    assert compare(out) == 2
    assert capsys.readouterr().err.strip().endswith("random, or one of --method-files")


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("mine.py", "method_files is 'mine.py', expected FILE.py:function or module:function"),
        ("none.py:still", "method_files names none.py, which is not a file, expected FILE.py:function or"),
        ("mine.py:other", "mine.py has no function other, expected one"),
        ("mine.py:NUMBER", "mine.py has no function NUMBER, expected one"),
        ("mine.py:short", "mine.py:short cannot be called with a setting and a training (too many"),
        (f"mine.py:{'n' * 65}", f"method_files: {'n' * 65} has 65 letters, expected 64 at most"),
        (".:still", "method_files is '.:still', expected FILE.py:function or module:function"),
        ("mine.py:ppo", "method_files: ppo is the name of a method that comes with limbshift, expected"),
    ],
)  # fmt: skip
def test_what_is_no_method_is_one_line(
    reference: str,
    told: str,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(file.parent)
    assert compare(Path("out"), "--method-files", reference) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"limbshift: {told}")
    assert not Path("out").exists()


def test_the_documentations_example_runs(tmp_path: Path) -> None:
    (block,) = re.findall(
        r"```python\n(.*?)```", (EXAMPLE.parents[1] / "docs" / "own-method.md").read_text(), re.DOTALL
    )
    (tmp_path / "mine.py").write_text(block)
    assert compare(tmp_path / "out", "--method-files", f"{tmp_path / 'mine.py'}:random_linear") == 0


def test_what_a_method_raises_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def broken(setting, timed):\n    return timed.nothing\n\ndef empty(setting, timed):\n    pass\n")
    assert compare(tmp_path / "out", "--method-files", f"{file}:broken") == 2
    told = capsys.readouterr().err
    assert told.startswith(f"limbshift: {file}:broken raised AttributeError in line 2: ")
    assert compare(tmp_path / "out", "--method-files", f"{file}:empty") == 2
    assert capsys.readouterr().err.startswith(f"limbshift: {file}:empty: None was returned")


ODD = """
from limbshift.envs.errors import RunFailure
from limbshift.envs.trial_env import TrialEnv

class Mute(Exception):
    def __str__(self):
        raise ValueError

def train(timed, counted=7, acts=lambda env, obs: obs.new_zeros(len(obs), env.task_env.action_dim)):
    counts = iter(counted) if isinstance(counted, list) else iter([counted] * 9)
    def make_act(env):
        return lambda obs: acts(env, obs)
    timed.run(lambda spent: None, lambda: next(counts), make_act)
    return make_act

def unseen(setting, timed):
    return lambda env: None
def nothing(setting, timed):
    train(timed)
def half(setting, timed):
    return train(timed, 7.5)
def backwards(setting, timed):
    timed.steps = 100
    return train(timed, [9, 5])
def stuck(setting, timed):
    timed.steps = 100
    return train(timed, 9)
def flat(setting, timed):
    return train(timed, acts=lambda env, obs: obs.new_zeros(len(obs), env.task_env.action_dim + 1))
def mute(setting, timed):
    raise Mute
def asking(setting, timed):
    return TrialEnv(setting.family, 2, 0)
def full(setting, timed):
    raise RunFailure("the disk is full")
"""


@pytest.mark.parametrize(
    ("name", "told", "status"),
    [
        ("unseen", "no look was taken, expected timed.run or timed.look to be called", 2),
        ("nothing", "None was returned, expected a function that makes the policy act", 2),
        ("half", "env steps so far are 7.5, expected a whole number, 1 at least", 2),
        ("backwards", "env steps so far are 5, expected a whole number, 10 at least", 2),
        ("stuck", "env steps so far are 9, expected a whole number, 10 at least", 2),
        ("flat", "shape of actions is (2, 2), expected (2, 1)", 2),
        ("mute", "raised Mute in line 31: <exception str() failed>", 2),
        ("asking", "episodes_per_trial is 0, expected 1 at least", 2),
        ("full", "the disk is full", 1),
    ],
)
def test_what_a_method_does_wrong_is_told_with_its_file(
    name: str, told: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(ODD)
    assert compare(tmp_path / "out", "--method-files", f"{file}:{name}") == status
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert told in line
    assert status == 1 or line.startswith(f"limbshift: {file}:{name}")
    assert not (tmp_path / f"out/cells/{name}-0.json").exists()


def test_no_training_runs_its_file_again(tmp_path: Path) -> None:
    """What trains is what was checked, whatever becomes of the file meanwhile."""
    file, runs = tmp_path / "mine.py", tmp_path / "runs"
    file.write_text(
        f"with open({str(runs)!r}, 'a') as runs:\n    runs.write('.')\n" + METHOD.format(long="n" * 65, steps=7)
    )
    counts = []
    for seeds in ("1", "3"):
        runs.write_text("")
        assert compare(tmp_path / seeds, "--method-files", f"{file}:still", "--seeds", seeds) == 0
        counts.append(len(runs.read_text()))
    assert counts[0] == counts[1] > 0


def test_a_method_that_ends_the_program_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import sys\n\ndef ending(setting, timed):\n    sys.exit(0)\n")
    assert compare(tmp_path / "out", "--method-files", f"{file}:ending") == 2
    assert capsys.readouterr().err.startswith(f"limbshift: {file}:ending raised SystemExit in line 4: 0")


def test_a_decorated_methods_code_is_that_of_its_own_file(tmp_path: Path) -> None:
    file, codes = tmp_path / "mine.py", []
    for number in range(2):
        file.write_text(f"import torch\n\n@torch.no_grad()\ndef quiet(setting, timed):\n    return {number}\n")
        add_own([f"{file}:quiet"])
        codes.append(METHODS["quiet"].code)
    assert codes[0] != codes[1]


METHOD_OF_TWO_FILES = """
from {neighbour} import STEPS

def {name}(setting, timed):
    import {lazy}
    def make_act(env):
        return lambda obs: obs.new_zeros(len(obs), env.task_env.action_dim)
    timed.look(STEPS + {lazy}.MORE, make_act)
    return make_act
"""


def write_method(folder: Path, name: str, *, steps: int, neighbour: str = "", lazy: str = "") -> Path:
    """Writes a method, a module that it imports, and one that it imports as it trains."""
    folder.mkdir(exist_ok=True)
    neighbour, lazy = neighbour or f"{name}_steps", lazy or f"{name}_later"
    (folder / f"{neighbour}.py").write_text(f"STEPS = {steps}")
    (folder / f"{lazy}.py").write_text("MORE = 1")
    file = folder / f"{name}.py"
    file.write_text(METHOD_OF_TWO_FILES.format(neighbour=neighbour, name=name, lazy=lazy))
    return file


def steps_of(out: Path) -> dict[str, float]:
    return {each["method"]: each["steps"] for each in json.loads((out / "results.json").read_text())["methods"]}


def test_each_method_gets_the_modules_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that it imports as it trains too; two of one name are not told apart, so they are refused."""
    first = write_method(tmp_path / "a", "first", steps=7)
    second = write_method(tmp_path / "b", "second", steps=9)
    assert compare(tmp_path / "out", "--method-files", f"{first}:first", f"{second}:second") == 0
    steps = steps_of(tmp_path / "out")
    assert (steps["first"], steps["second"]) == (8, 10)
    for name, whose in (("neighbour", "b"), ("lazy", "c")):
        METHODS.pop("second", None)
        other = write_method(
            tmp_path / whose, "second", steps=9, **{name: f"first_{'steps' if whose == 'b' else 'later'}"}
        )
        (tmp_path / whose / "first_later.py").write_text("MORE = 2")
        assert compare(tmp_path / "two", "--method-files", f"{first}:first", f"{other}:second") == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert re.search(
            r"two files of your own are called first_(steps|later)\.py, expected each to have its own", line
        )


def test_one_file_after_another_of_the_same_name(tmp_path: Path) -> None:
    """As in a notebook."""
    for folder, steps in (("a", 7), ("b", 9)):
        file = write_method(tmp_path / folder, "same", steps=steps)
        METHODS.pop("same", None)
        assert compare(tmp_path / f"out-{folder}", "--method-files", f"{file}:same") == 0
        assert steps_of(tmp_path / f"out-{folder}")["same"] == steps + 1


@pytest.mark.parametrize("changed", ["mine_steps.py", "mine_later.py"])
def test_a_module_that_was_changed_is_not_mixed_in(
    changed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_method(tmp_path, "mine", steps=7)
    assert compare(tmp_path / "out", "--method-files", f"{file}:mine") == 0
    (tmp_path / changed).write_text((tmp_path / changed).read_text() + "1")
    assert compare(tmp_path / "out", "--method-files", f"{file}:mine") == 2
    assert "mine-0.json was trained with code" in capsys.readouterr().err


FAMILY = '''
from limbshift.envs.robots.half_cheetah import HalfCheetahDir

class Own(HalfCheetahDir):
    """Run either way."""
    horizon = 5
'''
FAMILY_ON_A_FILE = """
from pathlib import Path

from limbshift.envs.family import TaskFamily
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.tasks.common import mass_factors

class Own(TaskFamily):
    '''Run on legs of unknown mass.'''
    robot = MjcfRobot.from_xml(Path(__file__).with_name("robot.xml"))
    parameters = mass_factors(("trunk",), widest=2)
    horizon = 5

    def reward(self, motion, task):
        return {"run": motion.velocity}
"""
METHOD_THAT_EDITS = """
def editing(setting, timed):
    with open({file!r}, "a") as file:
        file.write("# changed")
    timed.look(1, lambda env: lambda obs: obs.new_zeros(len(obs), env.task_env.action_dim))
    return lambda env: lambda obs: obs.new_zeros(len(obs), env.task_env.action_dim)
"""


def test_a_family_that_was_changed_is_not_mixed_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, method = tmp_path / "family.py", tmp_path / "method.py"
    file.write_text(FAMILY)
    method.write_text(METHOD_THAT_EDITS.format(file=str(file)))
    own = ["compare", "--family-file", f"{file}:Own", "--methods", "random", *TINY, "--out", str(tmp_path / "out")]
    assert main(own) == 0
    file.write_text(f"{FAMILY}\n")
    assert main(own) == 2
    assert "random-0.json was trained with family_code" in capsys.readouterr().err
    while_it_trains = [*own[:-1], str(tmp_path / "other"), "--seeds", "2", "--method-files", f"{method}:editing"]
    assert main(while_it_trains) == 2
    assert "family.py:Own was changed since the comparison began, expected it as it was" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "other/cells").iterdir()} == {"random-0.json", "editing-0.json"}


def test_a_robot_that_was_changed_beside_its_family_is_not_mixed_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    robot, file = tmp_path / "robot.xml", tmp_path / "family.py"
    shutil.copy(EXAMPLE.with_name("two_legs.xml"), robot)
    file.write_text(FAMILY_ON_A_FILE)
    own = ["compare", "--family-file", f"{file}:Own", "--methods", "random", *TINY, "--out", str(tmp_path / "out")]
    assert main(own) == 0
    robot.write_text(robot.read_text().replace('gear="60"', 'gear="61"'))
    assert main(own) == 2
    assert "random-0.json was trained with robot" in capsys.readouterr().err


def test_what_a_method_changes_for_all_is_taken_back(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import os, torch\n"
        + METHOD.format(long="n" * 65, steps=7).replace(
            "    timed.look",
            "    torch.set_grad_enabled(False)\n    torch.set_default_dtype(torch.float64)\n"
            f"    os.chdir({str(tmp_path)!r})\n    timed.look",
        )
    )
    here = Path.cwd()
    assert compare(tmp_path / "out", "--method-files", f"{file}:still") == 0
    assert (Path.cwd(), torch.is_grad_enabled(), torch.get_default_dtype()) == (here, True, torch.float32)


def test_two_of_one_name_are_refused(file: Path) -> None:
    other = file.with_name("other.py")
    other.write_text(file.read_text())
    with pytest.raises(InputError, match=r"^method_files: still is the name of two methods, expected"):
        add_own([f"{file}:still", f"{other}:still"])
    assert "still" not in METHODS


def test_its_file_goes_to_other_machines(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    config = CompareConfig("InvertedPendulumBody", out=Path("out"), engine="ray", method_files=("mine.py:still",))
    assert add_own(config.method_files) == ["still"]
    there, files = portable(config)
    assert (there, set(files)) == (replace(config, method_files=("mine.py:still",)), {"mine.py"})
    code = METHODS["still"].code
    file.unlink()
    with in_folder(files):
        assert add_own(there.method_files) == ["still"]
    assert METHODS["still"].code == code


def test_own_methods_have_colours_of_their_own(file: Path) -> None:
    add_own([f"{file}:still", f"{EXAMPLE}:cross_entropy"])
    assert [colour(name) for name in ("still", "cross_entropy")] == list(OWN_COLOURS[:2])
    assert not {*OWN_COLOURS} & {*COLOURS.values()}
