"""The page's part on several families at once."""

from pathlib import Path

from limbshift.experiments.comparison.timed_training import HeldoutCurvePoint
from limbshift.experiments.comparison.training_run import TrainingRun
from limbshift.experiments.published.over_families import over_families, sets_of


def run(method: str, seed: int, score: float) -> TrainingRun:
    """Of four tasks, on which it returns the same."""
    returns = [[0.0, 10 * score]] * 4
    look = HeldoutCurvePoint(1.0, 100 * (method != "random"), returns)
    return TrainingRun(method, seed, "a CPU", [look], {"heldout": returns})


def runs(**scores: float) -> list[TrainingRun]:
    own = [run(name.replace("_", "-"), seed, score + 0.1 * seed) for name, score in scores.items() for seed in range(2)]
    return [*own, run("oracle", 0, 1.0), run("oracle", 1, 1.0), run("random", 0, 0.0)]


FAMILIES = {
    "One": runs(limbshift=0.9, ppo=0.1, maml=0.2),
    "Two": runs(limbshift=0.8, ppo=0.3, maml=0.1),
    "Three": runs(limbshift=0.7, ppo=0.3),
    "Unscored": [run("limbshift", 0, 0.5), run("random", 0, 0.0)],
}


def test_families_are_taken_together_by_the_methods_they_share() -> None:
    assert list(sets_of(FAMILIES)) == [
        (["One", "Two", "Three"], ["limbshift", "ppo", "oracle"]),
        (["One", "Two"], ["limbshift", "ppo", "maml", "oracle"]),
    ]
    assert list(sets_of({"One": FAMILIES["One"]})) == []


def test_the_page_tells_of_them(tmp_path: Path) -> None:
    text = "\n".join(over_families(FAMILIES, tmp_path))
    assert "### One, Two, Three\n" in text
    assert "### One, Two\n" in text
    assert "| `limbshift` | 0.85 (" in text, "of 0.7, 0.8, 0.8, 0.9, 0.9, 1.0"
    assert "| `limbshift` | - | 1.00 (0.54 to 1.00) |" in text, "6 trainings that agree: 0.025^(1/6)"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["over-families-1.png", "over-families-2.png"]
    assert over_families({"One": FAMILIES["One"]}, tmp_path) == []
