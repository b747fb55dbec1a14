"""Methods of the user's own, from a file, beside those that come with limbshift."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

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
    path.write_text(METHOD.format(steps=7))
    return path


def compare(out: Path, *arguments: str) -> int:
    return main(["compare", "InvertedPendulumBody", "--methods", "no-memory", *TINY, "--out", str(out), *arguments])


def test_the_example_learns_beside_ours(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert compare(out, "--steps", "2000", "--method-files", f"{EXAMPLE}:cross_entropy") == 0
    methods = {each["method"]: each for each in json.loads((out / "results.json").read_text())["methods"]}
    assert list(methods) == ["no-memory", "random", "cross_entropy"]
    assert methods["cross_entropy"]["description"] == "a linear policy of what is sensed, by the cross-entropy method"
    assert methods["cross_entropy"]["steps"] == 2000
    assert "cross_entropy" in (out / "index.html").read_text()


def test_a_method_that_was_changed_is_not_mixed_with_what_it_was(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, own = tmp_path / "out", ["--method-files", f"{file}:still"]
    assert compare(out, *own) == 0
    assert compare(out, *own) == 0, "nothing is left to be trained"
    file.write_text(METHOD.format(steps=8))
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
    assert capsys.readouterr().err.startswith(f"limbshift: {file}:empty ")


def test_no_training_runs_its_file_again(tmp_path: Path) -> None:
    """What trains is what was checked, whatever becomes of the file meanwhile."""
    file, runs = tmp_path / "mine.py", tmp_path / "runs"
    file.write_text(f"with open({str(runs)!r}, 'a') as runs:\n    runs.write('.')\n" + METHOD.format(steps=7))
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
