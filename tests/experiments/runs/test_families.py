"""Families of the user's own, from a file: trained, evaluated, rendered and resumed from the command line."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

import limbshift
from limbshift.envs.errors import FamilyError, InputError
from limbshift.experiments.cli import main
from limbshift.experiments.runs.families import load_family
from limbshift.experiments.runs.own_code import code_hash, files_of
from tests.gl import needs_gl

TINY = ["--steps", "1", "--num-envs", "4", "--episodes", "2", "--horizon", "5", "--hidden-size", "8"]
HOP = '''
from hop_settings import WEIGHT
from limbshift.envs.family import TaskFamily
from limbshift.envs.robots.half_cheetah import HalfCheetah
from limbshift.envs.tasks.common import mass_factors
from limbshift.envs.tasks.rewards import control_cost


class Hop(TaskFamily):
    """Run on limbs of unknown mass."""

    robot = HalfCheetah()
    parameters = mass_factors(("torso", "bfoot"), widest=2)
    variants = {"default": {}, "heavy": {"parameters": mass_factors(("torso",), widest=3)}}

    def reward(self, motion, task):
        """v_x - 0.05 * sum(a^2)"""
        return {"run": motion.velocity, "control": control_cost(motion.action, WEIGHT)}


class Sized(Hop):
    def __init__(self, size):
        super().__init__()


class Failing(Hop):
    def __init__(self):
        raise ArithmeticError("no\\nluck")


class Unfinished(TaskFamily):
    robot = HalfCheetah()


def a_function():
    pass
'''
LATE = """

class Late(Hop):
    def reward(self, motion, task):
        from hop_late import BONUS

        return {"bonus": BONUS * motion.velocity}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with several classes, which imports its neighbour."""
    (tmp_path / "hop_settings.py").write_text("WEIGHT = 0.05\n")
    path = tmp_path / "hop.py"
    path.write_text(HOP)
    return path


def train(run: Path, *options: str) -> int:
    return main(["train", "--run-dir", str(run), "--wandb", "disabled", *TINY, *options])


@needs_gl
def test_a_class_of_ones_own_goes_through_every_command(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    assert train(run, "--family-file", "hop.py:Hop") == 0
    kept = json.loads((run / "config.json").read_text())
    assert (kept["family"], kept["family_file"]) == ("Hop", f"{file}:Hop")
    own = ["--family-file", f"{file}:Hop", "--tasks", "2"]
    assert main(["evaluate", str(run), *own, "--json", str(tmp_path / "hop.json")]) == 0
    assert json.loads((tmp_path / "hop.json").read_text())["family"] == "Hop"
    assert main(["render", str(run), *own, "--out", str(tmp_path / "hop.mp4")]) == 0
    assert (tmp_path / "hop.mp4").stat().st_size > 1000
    capsys.readouterr()
    monkeypatch.chdir("/")  # the reference that is kept holds from anywhere, but no code is run that a file names
    assert main(["train", "--resume", "--run-dir", str(run), "--steps", "80"]) == 2
    again = ["--family-file", f"{file}:Hop"]
    assert f"whose code is run: expected it anew, as {' '.join(again)}\n" in capsys.readouterr().err
    assert main(["train", "--resume", "--run-dir", str(run), "--steps", "80", *again]) == 0
    assert limbshift.load_controller(run).card.steps == 80
    assert str(tmp_path) not in sys.path

    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 2  # which runs no code that a run's directory names
    error = capsys.readouterr().err
    assert "controller was trained on Hop, a family that does not come with limbshift" in error
    assert "--family-file FILE.py:Hop" in error
    moved = file.rename(tmp_path / "moved.py")
    assert main(["train", "--resume", "--run-dir", str(run), "--steps", "120", *again]) == 2
    assert f"family_file names {file}, which is not a file" in capsys.readouterr().err
    assert main(["train", "--resume", "--run-dir", str(run), "--steps", "120", "--family-file", f"{moved}:Hop"]) == 0


def test_a_class_of_ones_own_is_described_compared_tuned_and_timed(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, shape = ["--family-file", f"{file}:Hop"], ["--num-envs", "4", "--episodes", "2", "--horizon", "5"]
    assert main(["families", *own]) == 0
    assert "Hop: Run on limbs of unknown mass." in capsys.readouterr().out
    compared = ["--out", str(tmp_path / "out"), "--methods", "no-memory", "--minutes", "0.002", "--seeds", "1"]
    assert main(["compare", *own, *compared, "--tasks", "2", *shape]) == 0
    assert json.loads((tmp_path / "out" / "results.json").read_text())["family"] == "Hop"
    preset = tmp_path / "preset.json"
    once = ["--minutes", "0.0001", "--trial-minutes", "0.002", "--tasks", "2", "--out", str(preset)]
    assert main(["tune", *own, *once, *shape]) == 0
    assert f"limbshift train --family-file {file}:Hop --preset {preset}" in capsys.readouterr().out.replace("\n", "")
    assert main(["bench", *own, "--rounds", "1", *shape, "--measures", "trials"]) == 0
    assert "trials / bare steps of the simulator, Hop, 4 envs: " in capsys.readouterr().out
    assert main(["families", "Jump", *own]) == 2
    assert f"family is Jump, expected Hop as {file}:Hop names it" in capsys.readouterr().err
    assert main(["compare", "--out", str(tmp_path / "none")]) == 2
    assert "FAMILY is missing, expected one that `limbshift families` lists" in capsys.readouterr().err


def test_what_a_method_imports_late_is_found(file: Path) -> None:
    (file.parent / "hop_late.py").write_text("BONUS = 1\n")
    file.write_text(HOP + LATE)
    assert train(file.parent / "late", "--family-file", f"{file}:Late") == 0
    assert str(file.parent) not in sys.path


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (
            "motion.physics.qpos",
            "hop.py raised AttributeError in line 41: 'MujocoPhysics' object has no attribute 'qpos'",
        ),
        ("motion.velocity.reshape(7, 7)", "hop.py raised RuntimeError in line 41: "),
    ],
    ids=["of the file", "beyond it"],
)
def test_what_a_method_raises_is_told_with_its_line(
    line: str, error: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(
        f"{HOP}\n\nclass Wrong(Hop):\n    def reward(self, motion, task):\n        return {{'run': {line}}}\n"
    )
    own = ["--family-file", f"{file}:Wrong"]
    assert train(tmp_path / "run", *own) == 2
    told = capsys.readouterr().err
    assert error in told
    assert told.count("\n") == 1
    assert not (tmp_path / "run").exists()
    compared = ["compare", "--steps", "40", "--tasks", "2", "--methods", "random", "--out", str(tmp_path / "out")]
    assert main([*compared, *own]) == 2
    assert error in capsys.readouterr().err


def test_only_the_users_own_modules_are_forgotten(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what a note, a robot's file or a folder beside the family is called like."""
    elsewhere = file.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "ant.py").write_text("")
    monkeypatch.syspath_prepend(str(elsewhere))
    ant, kernels = import_module("ant"), sys.modules["torch._C"]
    (file.parent / "torch.md").touch()
    (file.parent / "torch").mkdir()
    (file.parent / "ant.xml").touch()
    load_family(f"{file}:Hop")
    assert sys.modules["torch._C"] is kernels
    assert sys.modules["ant"] is ant
    assert train(file.parent / "run", "--family-file", f"{file}:Hop") == 0


def test_neighbours_lie_beside_the_file_that_a_link_names(file: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    link = tmp_path / "links/linked.py"
    link.symlink_to(file)
    assert load_family(f"{link}:Hop").name == "Hop"
    assert set(files_of(str(link))) == {"hop.py", "hop_settings.py"}


def test_a_package_without_an_init_is_among_a_files_own(file: Path, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/legs.py").write_text("from . import feet\n")
    (tmp_path / "parts/feet.py").write_text("import logging, hop_settings\n")
    file.write_text(f"from parts.legs import feet\n{HOP}")
    assert set(files_of(str(file))) == {"hop.py", "hop_settings.py", "parts/feet.py", "parts/legs.py"}
    assert code_hash(str(file)) != code_hash(str(tmp_path / "hop_settings.py"))


@needs_gl
def test_render_in_python_takes_strings_and_a_family(file: Path, tmp_path: Path) -> None:
    family = load_family(f"{file}:Hop", "heavy")
    sizes = {"num_envs": 4, "episodes": 2, "horizon": 5, "hidden_size": 8}
    run = limbshift.train(family, run_dir=str(tmp_path / "run"), steps=1, wandb="disabled", **sizes)  # type: ignore[arg-type]
    assert run == tmp_path / "run"
    assert limbshift.evaluate(str(run), num_tasks=2, family=family).variant == "heavy"
    out = limbshift.render(str(run), out=str(tmp_path / "films" / "hop.mp4"), num_tasks=2, family=family)
    assert out == tmp_path / "films" / "hop.mp4"
    assert out.stat().st_size > 1000


def test_a_module_is_found_from_the_working_directory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    monkeypatch.delitem(sys.modules, "hop", raising=False)
    assert list(load_family("hop:Hop").nominal) == ["torso_mass", "bfoot_mass"]
    assert list(load_family("hop:Hop", "heavy").nominal) == ["torso_mass"]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("{file}", "expected FILE.py:Class or module:Class"),
        ("{file}:", "expected FILE.py:Class or module:Class"),
        ("{folder}/none.py:Hop", "family_file names .*none.py, which is not a file, expected FILE.py:Class"),
        ("no_such_module:Hop", "family_file names the module no_such_module, which is not found, expected"),
        ("{file}:Jump", "has no class Jump, expected Hop or Sized or Failing or Unfinished"),
        ("{file}:a_function", "a_function in .* is not a subclass of TaskFamily, expected one"),
        ("{file}:Sized", r"cannot be made \(missing a required argument: 'size'\), expected a class that is made"),
        ("{file}:Failing", r"hop.py:Failing raised ArithmeticError in line \d+: no$"),
        ("{file}:Unfinished", "does not define reward, expected a class that does"),
        ("{broken}:Hop", r"broken.py raised ZeroDivisionError in line 3: division by zero$"),
        ("{wrong}:Hop", r"wrong.py raised SyntaxError"),
        ("{quits}:Hop", r"quits.py raised SystemExit in line 1: 3$"),
        ("{untold}:Own", r"reward cannot be called with a motion and a task \(too many positional arguments\)"),
        ("{limbless}:Own", r"robot of Own is None, expected a Robot"),
        ("{unmade}:Own", r"robot of Own is <class .*HalfCheetah'>, expected a Robot"),
        ("{needs}:Hop", r"needs.py raised ModuleNotFoundError in line 1: No module named 'no_such_module'$"),
    ],
)
def test_what_is_no_family_is_told_in_one_line(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], reference: str, message: str
) -> None:
    bodies = {
        "broken": "\n\n1 / 0\n",
        "wrong": "class\n",
        "quits": "raise SystemExit(3)\n",
        "needs": "import no_such_module\n",
        "untold": HOP.partition("class Sized")[0].replace("Hop(", "Own(").replace("motion, task", "motion"),
        "limbless": HOP.partition("class Sized")[0].replace("Hop(", "Own(").replace("robot = HalfCheetah()", "", 1),
        "unmade": HOP.partition("class Sized")[0].replace("Hop(", "Own(").replace("HalfCheetah()", "HalfCheetah", 1),
    }
    for name, body in bodies.items():
        (tmp_path / f"{name}.py").write_text(body)
    places = {name: str(tmp_path / f"{name}.py") for name in bodies}
    reference = reference.format(file=file, folder=tmp_path, **places)
    with pytest.raises(FamilyError, match=message):
        load_family(reference)
    assert train(tmp_path / "run", "--family-file", reference) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_what_contradicts_the_file_is_refused(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", "HalfCheetahDir", "--family-file", f"{file}:Hop") == 2
    assert "family is HalfCheetahDir, expected Hop as" in capsys.readouterr().err
    assert train(tmp_path / "run", "--robot", "a.xml", "--family-file", f"{file}:Hop") == 2
    assert "robot is a.xml, expected none beside family_file" in capsys.readouterr().err
    with pytest.raises(InputError, match="variant is default, expected heavy"):
        limbshift.train(load_family(f"{file}:Hop", "heavy"), variant="default")


def test_a_run_of_an_object_asks_for_its_class_when_it_is_resumed(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    family = load_family(f"{file}:Hop")
    limbshift.train(family, run_dir=run, steps=1, num_envs=4, episodes=2, horizon=5, hidden_size=8, wandb="disabled")
    assert main(["train", "--resume", "--run-dir", str(run), "--steps", "80"]) == 2
    assert "trains on Hop, a family that does not come with limbshift" in capsys.readouterr().err
    limbshift.train(family, run_dir=run, resume=True, steps=80)
    assert main(["train", "--resume", "--run-dir", str(run), "--steps", "120", "--family-file", f"{file}:Hop"]) == 0
    assert limbshift.load_controller(run).card.steps == 120
