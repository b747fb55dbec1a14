"""Runs the examples in docstrings, and tells which public names have none."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from tests.test_structure import ROOT, SOURCES

MODULES = {"limbshift": ROOT / "limbshift" / "__init__.py"} | SOURCES
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PUBLIC = (
    "limbshift.envs.catalogue:families",
    "limbshift.envs.catalogue:make_family",
    "limbshift.envs.family:TaskFamily",
    "limbshift.envs.family:Robot",
    "limbshift.envs.tasks.parameter:TaskParameter",
    "limbshift.envs.tasks.task_space:TaskSpace",
    "limbshift.envs.task_env:TaskEnv",
    "limbshift.envs.trial_env:TrialEnv",
    "limbshift.envs.physics.mujoco_batch:MujocoPhysics",
    "limbshift.envs.physics.engine:Engine",
    "limbshift.envs.adapters.gym_env:TaskFamilyEnv",
    "limbshift.envs.adapters.gym_vector:TaskFamilyVectorEnv",
    "limbshift.envs.adapters.gym_trials:TrialVectorEnv",
    "limbshift.envs.adapters.make:make_trials",
    "limbshift.envs.adapters.make:make_sb3",
    "limbshift.envs.adapters.make:make_rsl_rl",
    "limbshift.envs.mjcf.robot:MjcfRobot",
    "limbshift.agents.controller:Controller",
    "limbshift.agents.actor:PolicyActor",
    "limbshift.agents.recurrent:PolicySpec",
    "limbshift.agents.recurrent:RecurrentActorCritic",
    "limbshift.agents.gaussian:Gaussian",
    "limbshift.agents.normaliser:InputNormaliser",
    "limbshift.meta.rl2.build:make_trainer",
    "limbshift.meta.rl2.advantages:generalised_advantages",
    "limbshift.meta.rl2.ppo:PPO",
    "limbshift.meta.evaluation.adaptation:evaluate_adaptation",
    "limbshift.meta.evaluation.statistics:interquartile_mean",
    "limbshift.experiments.commands.train:train",
    "limbshift.experiments.commands.evaluate:evaluate",
    "limbshift.experiments.commands.render:render",
    "limbshift.experiments.runs.controllers:load_controller",
    "limbshift.experiments.logs.metrics_file:read_metrics",
)
"""What users import: each has an example, in its docstring or in that of a public method."""


@pytest.mark.parametrize("module", [name for name, path in MODULES.items() if ">>>" in path.read_text()])
def test_examples_run(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    results = doctest.testmod(import_module(module), optionflags=OPTIONS)
    assert results.attempted, "what has >>> in it is no docstring"
    assert not results.failed


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example(name: str) -> None:
    module, attribute = name.split(":")
    shown = getattr(import_module(module), attribute)
    found = doctest.DocTestFinder().find(shown, attribute, module=False)
    assert any(test.examples for test in found), f"{name} has no example"
