"""How long one step of a controller takes, in PyTorch and in onnxruntime, beside its control period."""

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from limbshift.agents.controller import Controller
from limbshift.envs.errors import InputError
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.machine import machine
from limbshift.experiments.runs.controllers import load_with_family, shipped_names
from limbshift.experiments.runs.directory import write_json
from limbshift.meta.threads import torch_threads

FORMAT = 1
"""Of the JSON."""
GOAL = 0.002
"""Seconds that 99.9 % of the steps should keep to: a robot that is told 500 times a second what to do."""
QUANTILES = (0.5, 0.99, 0.999)
WARM_UP = 100
"""Steps that are not counted."""


class Latency(NamedTuple):
    """Of one robot's step, on one thread."""

    name: str
    period: float
    """Of control, s."""
    torch: tuple[float, ...]
    """By quantile, s."""
    onnx: tuple[float, ...]


def run_latency(config: BenchConfig, *, console: Console) -> None:
    """Prints a table of all shipped controllers, or of the one of a family; writes the JSON."""
    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise InputError(f"bench --latency needs {package}: pip install '.[onnx]'")
    before = machine()
    measured = [latency_of(name, config.seconds) for name in ([config.family] if config.family else shipped_names())]
    console.print(latency_table(measured))
    slowest = max(each.onnx[-1] for each in measured)
    met = "is met" if slowest <= GOAL else "is not met"
    goal = f"ONNX, 99.9 % of steps: {slowest * 1000:.2f} ms at most; 500 Hz, {GOAL * 1000:g} ms, {met}"
    console.print(goal, highlight=False, soft_wrap=True)
    if config.json:
        content = {"format": FORMAT, "machine": before, "seconds": config.seconds, "quantiles": list(QUANTILES)}
        write_json(config.json, content | {"controllers": [each._asdict() for each in measured]})
        console.print(f"all figures in {config.json}", highlight=False, soft_wrap=True)


def latency_of(name: str, seconds: float) -> Latency:
    """Measures a controller for so many seconds in each of the two."""
    controller, family = load_with_family(name)
    with torch_threads(1):
        torch = quantiles(torch_step(controller), seconds)
        onnx = quantiles(onnx_step(controller), seconds)
    return Latency(name, family.robot.control_timestep, torch, onnx)


def torch_step(controller: Controller) -> Callable[[], object]:
    """Returns what takes a step of one robot in PyTorch."""
    spec, generator = controller.policy.spec, np.random.default_rng(0)
    obs, start = generator.normal(size=(1, spec.obs_dim)).astype(np.float32), np.zeros(1, np.float32)
    reward = start if spec.memory and spec.sees_reward else None
    controller.reset(1)
    return lambda: controller.act(obs, reward, start)


def onnx_step(controller: Controller) -> Callable[[], object]:
    """Returns what takes a step of one robot in onnxruntime, on one thread."""
    import onnxruntime

    from limbshift.agents.onnx_step import step_model

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = step_model(controller, {}).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    outputs = [each.name for each in session.get_outputs()]
    told = {each.name: np.zeros((1, *each.shape[1:]), np.float32) for each in session.get_inputs()}
    state = [name.removeprefix("next_") for name in outputs[1:]]
    told["obs"][:] = np.random.default_rng(0).normal(size=told["obs"].shape)

    def step() -> None:
        _, *after = session.run(outputs, told)
        told.update(zip(state, after, strict=True))

    return step


def quantiles(step: Callable[[], object], seconds: float) -> tuple[float, ...]:
    """Returns the quantiles of how long a step takes, s."""
    for _ in range(WARM_UP):
        step()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while not taken or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        taken.append(time.perf_counter() - start)
    return tuple(float(value) for value in np.quantile(taken, QUANTILES))


def latency_table(measured: list[Latency]) -> Table:
    """Returns a table with a row for each controller, in milliseconds."""
    table = Table(title="one step of one robot on one core, ms: median, 99 %, 99.9 %", title_justify="left")
    table.add_column("controller", no_wrap=True)
    for column in ("period", "PyTorch", "ONNX"):
        table.add_column(column, justify="right")
    for each in measured:
        told = (" ".join(f"{1000 * value:.2f}" for value in values) for values in (each.torch, each.onnx))
        table.add_row(each.name, f"{1000 * each.period:g}", *told)
    return table
