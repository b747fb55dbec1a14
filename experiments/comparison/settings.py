"""What the trainings of a comparison share, and what each is told; with what is left to the family and the package."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from limbshift.agents import chosen_belief_size
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.physics.models import digest_of
from limbshift.envs.schema import make, shortened
from limbshift.experiments.comparison.config import CompareConfig
from limbshift.experiments.comparison.methods import METHODS
from limbshift.experiments.comparison.timed_training import LOOKS, TASK_SEED, Setting, split_options, usual_setting
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.runs.own_code import code_hash, place_of
from limbshift.experiments.runs.presets import Preset, read_preset
from limbshift.meta.maml.outer_loop import MAMLConfig
from limbshift.meta.rl2.config import PPOConfig

TUNED = ("cell", "head", "hidden_size", "gamma", "initial_log_std")
"""What a preset may set beside PPO's options."""


def setting_of(
    method: str, seed: int, config: CompareConfig, *, family: TaskFamily, tuned: Mapping[str, Any]
) -> Setting:
    """Returns what a method is told: what is its own, what was tuned for it, and what is the same for all."""
    usual = usual_setting(
        family,
        seed,
        num_envs=config.num_envs,
        episodes=config.episodes,
        horizon=config.horizon,
        cell=config.cell,
        hide_reward=config.hide_reward,
        first_order=config.first_order,
    )
    return with_belief(method, usual.tuned(tuned).tuned(METHODS[method].network))


def with_belief(method: str, setting: Setting) -> Setting:
    """Returns the setting with the belief network that the family asks for, where the method has one."""
    own = setting.family.belief_size if METHODS[method].believes else 0
    size = chosen_belief_size(setting.belief_size or None, own, setting.cell, memory=True, sees_task=False)
    return replace(setting, belief_size=size)


def presets_by_method(paths: Sequence[Path]) -> dict[str, Preset]:
    """Reads presets, each for another of the methods that have any."""
    presets: dict[str, Preset] = {}
    for path in paths:
        preset = read_preset(path)
        expected = sorted({about.tuned_as for about in METHODS.values() if about.tuned_as})
        if preset.method not in expected:
            raise InputError(f"method in {path} is {shortened(preset.method)}, expected one of {', '.join(expected)}")
        if preset.method in presets:
            raise InputError(f"{path} is for {preset.method}, as is one before it, expected one preset a method")
        presets[preset.method] = preset._replace(settings=checked(preset.settings, path))
    return presets


def tuned_for(method: str, presets: Mapping[str, Preset]) -> Mapping[str, Any]:
    """Returns the settings that a method takes from presets."""
    preset = presets.get(METHODS[method].tuned_as or "")
    return preset.settings if preset else {}


def checked(settings: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Returns a preset's settings as a comparison takes them; InputError where it cannot."""
    settings = {name: value for name, value in settings.items() if (name, value) != ("no_memory", False)}
    ppo, others = split_options(settings)
    for name in others:
        if name not in TUNED:
            raise InputError(f"{path} sets {name}, expected {', '.join(TUNED)}, or options of PPO, in a comparison")
    make(PPOConfig, ppo, f"ppo in {path}")
    make(TrainConfig, {"family": "any", **others}, str(path))
    return settings


def training_settings(method: str, setting: Setting, config: CompareConfig) -> dict[str, Any]:
    """Returns the settings of one training of a comparison, resolved."""
    about, family = METHODS[method], setting.family
    budget = about.budget
    own: dict[str, Any] = {"maml": asdict(MAMLConfig(first_order=config.first_order))} if method == "maml" else {}
    own |= {"code": about.code} if about.code else {}
    own |= {"belief_size": setting.belief_size} if setting.belief_size else {}
    ppo = asdict(setting.ppo)
    if not setting.belief_size and not (family.guided and about.is_told):
        del ppo["told_share"]  # which changes nothing then
    own |= {"candidates": family.num_candidates} if setting.belief_size and family.num_candidates else {}
    if config.family_file:
        own |= {"family_code": code_hash(place_of(config.family_file)), "robot": digest_of(family.robot.model)}
    return {
        "method": method,
        "seed": setting.seed,
        "family": family.name,
        "variant": family.variant,
        "parameters": {
            each.name: [each.low, each.high, each.scale, each.choices, each.extrapolation] for each in family.parameters
        },
        "minutes": None if config.steps else budget * config.minutes,
        "clock": None if config.steps else config.clock,
        "steps": config.steps and round(config.steps * budget),
        "num_envs": setting.num_envs,
        "episodes": setting.episodes,
        "horizon": setting.horizon,
        "gamma": setting.gamma,
        "initial_log_std": setting.initial_log_std,
        "observe_task": about.observes_task,
        "hidden_size": setting.hidden_size,
        "cell": setting.cell,
        "head": setting.head,
        "hide_reward": setting.hide_reward,
        "train_tasks": config.train_tasks,
        "tasks": config.num_tasks,
        "task_seed": TASK_SEED,
        "looks": LOOKS,
        "ppo": ppo,
        **own,
    }


def what_is_compared(config: CompareConfig, family: TaskFamily, *, tuned: dict[str, Any]) -> dict[str, Any]:
    """Returns all that must be the same in the runs of a comparison.

    tuned: by method, what its preset says of where it comes from.
    """
    return {
        "family": family.name,
        "variant": family.variant,
        "version": version("limbshift"),
        "minutes": None if config.steps else config.minutes,
        "clock": None if config.steps else config.clock,
        "steps": config.steps,
        "num_envs": config.num_envs,
        "episodes": config.episodes or family.episodes_per_trial,
        "horizon": config.horizon or family.horizon,
        "tasks": config.num_tasks,
        "train_tasks": config.train_tasks,
        "cell": config.cell,
        "hide_reward": config.hide_reward,
        "first_order": config.first_order,
        "tuned": tuned or None,
    }


class Asked(NamedTuple):
    """What a comparison is to be, checked, with what the user's own files say now."""

    config: CompareConfig
    family: TaskFamily
    methods: list[str]
    presets: dict[str, Preset]
    """By the method that they were tuned for."""

    @property
    def about(self) -> dict[str, Any]:
        """All that its trainings share."""
        tuned = {name: dict(preset.about) for name, preset in self.presets.items()}
        return what_is_compared(self.config, self.family, tuned=tuned)

    def settings(self, method: str, seed: int) -> dict[str, Any]:
        """Returns the settings of one of its trainings."""
        tuned = tuned_for(method, self.presets)
        setting = setting_of(method, seed, self.config, family=self.family, tuned=tuned)
        return training_settings(method, setting, self.config)
