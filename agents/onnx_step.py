"""One step of a controller as an ONNX graph, which runs where there is no PyTorch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from limbshift.agents.controller import Controller
from limbshift.agents.heads import HyperHead
from limbshift.agents.normaliser import CLIP
from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.errors import ControllerError

OPSET = 17
"""Version of ONNX's operators: runtimes since 2022 have it."""
IR_VERSION = 8
"""Of the file's format, of the same time."""
ROBOTS = "robots"
"""The name of the axis N, which may be of any size."""
STATES: Mapping[str, tuple[str, ...]] = {"lstm": ("hidden", "cell"), "gru": ("hidden",)}
"""By cell, the parts of its recurrent state."""
GATES: Mapping[str, tuple[int, ...]] = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}
"""By cell, the places in PyTorch's order of the gates, in ONNX's order."""


class Graph:
    """The nodes and the constants of a graph, in the order in which they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: Any) -> str:
        """Adds a constant: int64 where it is a list of whole numbers, else float32. Returns its name."""
        kind = np.int64 if isinstance(value, list) else np.float32
        array = value.cpu().numpy() if isinstance(value, Tensor) else value
        self.constants.append(numpy_helper.from_array(np.array(array, kind, order="C"), name))
        return name

    def node(self, operator: str, *inputs: str, out: tuple[str, ...], **attributes: Any) -> None:
        """Adds an operator; an empty name is an input that is left out, or an output that nobody reads."""
        name = next(filter(None, out))
        self.nodes.append(helper.make_node(operator, inputs, out, name=name, **attributes))

    def add(self, operator: str, *inputs: str, out: str, **attributes: Any) -> str:
        """Adds an operator of one output. Returns the output's name."""
        self.node(operator, *inputs, out=(out,), **attributes)
        return out

    def linear(self, x: str, weight: str, bias: str, *, out: str) -> str:
        """Adds x @ weight.T + bias. Returns the output's name."""
        return self.add("Gemm", x, weight, bias, out=out, transB=1)

    def clip(self, x: str, limit: float, *, out: str) -> str:
        """Adds x, held between -limit and limit. Returns the output's name."""
        ends = [self.constant(f"{out}.{end}", value) for end, value in (("lowest", -limit), ("highest", limit))]
        return self.add("Clip", x, *ends, out=out)


def step_model(controller: Controller, about: Mapping[str, str]) -> onnx.ModelProto:
    """Returns a step of N robots, whose memory goes in and comes out; all numbers are float32.

    Inputs: `obs` (N, obs_dim); where the controller has a memory `previous_action` (N, A) in the robot's own units,
    `previous_reward` (N,) unless it was trained with its reward hidden, `episode_start` (N,), 1 on the first step of an
    episode and else 0, and the parts of the recurrent state, (N, hidden_size): `hidden`, and `cell` of an LSTM. Where a
    trial begins, previous reward and state are zero, and the previous action is the middle of the range. Outputs:
    `action` (N, A) within the robot's range, and the state for the next step, `next_hidden` and `next_cell`.

    about: what the file tells of itself, by name. Raises ControllerError for an oracle, and for a transformer.

    >>> import limbshift
    >>> model = step_model(limbshift.load_controller("HalfCheetahDir"), {"family": "HalfCheetahDir"})
    >>> [each.name for each in model.graph.input]
    ['obs', 'previous_action', 'previous_reward', 'episode_start', 'hidden', 'cell']
    """
    spec = controller.policy.spec
    if spec.task_dim:
        raise ControllerError("this controller observes its task: it is an oracle to compare with, not to deploy")
    if spec.cell not in STATES:
        raise ControllerError(f"cell of this controller is {spec.cell}, expected {' or '.join(STATES)} to export")
    graph = Graph()
    encoding = _add_encoding(graph, controller)
    _add_action(graph, controller, features=(_add_memory(graph, controller.policy, encoding), encoding))
    state = dict.fromkeys(state_names(spec), (spec.hidden_size,))
    action = {"action": (spec.action_dim,)}
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "step",
            _declared({name: size for name, (size, _) in sensed(spec).items()} | state),
            _declared(action | {f"next_{name}": size for name, size in state.items()}),
            graph.constants,
        ),
        producer_name="limbshift",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, dict(about))
    onnx.checker.check_model(model, full_check=True)
    return model


def sensed(spec: PolicySpec) -> dict[str, tuple[tuple[int, ...], slice]]:
    """Returns what a step is told beside its state: by name, the size for each robot, and the columns of what is seen.

    >>> told = sensed(PolicySpec(obs_dim=3, action_dim=2, sees_reward=False))
    >>> list(told), told["episode_start"]
    (['obs', 'previous_action', 'episode_start'], ((), slice(6, 7, None)))
    """
    reward = spec.obs_dim + spec.action_dim
    columns = {
        "obs": ((spec.obs_dim,), slice(0, spec.obs_dim)),
        "previous_action": ((spec.action_dim,), slice(spec.obs_dim, reward)),
        "previous_reward": ((), slice(reward, reward + 1)),
        "episode_start": ((), slice(reward + 1, reward + 2)),
    }
    if not spec.memory:
        return {"obs": columns["obs"]}
    return {name: each for name, each in columns.items() if name != "previous_reward" or spec.sees_reward}


def state_names(spec: PolicySpec) -> tuple[str, ...]:
    """Returns the names of the recurrent state's parts."""
    return STATES[spec.cell] if spec.memory else ()


@torch.no_grad()
def _add_encoding(graph: Graph, controller: Controller) -> str:
    """Adds what the encoder makes of what is told: (N, hidden_size)."""
    policy = controller.policy
    scale, shift = policy.normaliser.scale.clone(), policy.normaliser.shift.clone()
    told = sensed(policy.spec)
    if "previous_action" in told:  # which the policy sees as shares of the range
        _, acted = told["previous_action"]
        shift[acted] -= scale[acted] * controller.middle_of_range / controller.half_range
        scale[acted] /= controller.half_range
    column = graph.constant("column", [1]) if len(told) > 1 else ""
    parts = [
        name if size else graph.add("Unsqueeze", name, column, out=f"{name}_column") for name, (size, _) in told.items()
    ]
    seen = graph.add("Concat", *parts, out="seen", axis=1) if len(parts) > 1 else "obs"
    columns = torch.cat([torch.arange(len(scale))[own] for _, own in told.values()])
    scaled = graph.add("Mul", seen, graph.constant("scale", scale[columns]), out="scaled")
    shifted = graph.add("Add", scaled, graph.constant("shift", shift[columns]), out="shifted")
    normalised = graph.clip(shifted, CLIP, out="normalised")
    weight = graph.constant("encoder.weight", policy.encoder.weight[:, columns])
    encoded = graph.linear(normalised, weight, graph.constant("encoder.bias", policy.encoder.bias), out="encoded")
    return graph.add("Tanh", encoded, out="encoding")


@torch.no_grad()
def _add_memory(graph: Graph, policy: RecurrentActorCritic, encoding: str) -> str:
    """Adds the recurrent cell: returns its output, (N, hidden_size), which is also the first part of the next state."""
    spec = policy.spec
    gates = torch.tensor(GATES[spec.cell])

    def in_order(name: str) -> Tensor:
        """PyTorch's rows of one gate after rows of another, in ONNX's order."""
        rows: Tensor = policy.recurrent.get_parameter(name).detach()
        ordered: Tensor = rows.unflatten(0, (len(gates), -1))[gates]
        return ordered.flatten(0, 1)

    weights = [
        graph.constant(f"{spec.cell}.{name}", value.unsqueeze(0))
        for name, value in (
            ("weight_ih", in_order("weight_ih_l0")),
            ("weight_hh", in_order("weight_hh_l0")),
            ("bias", torch.cat([in_order("bias_ih_l0"), in_order("bias_hh_l0")])),
        )
    ]
    time = graph.constant("time", [0])
    steps = graph.add("Unsqueeze", encoding, time, out="steps")  # one step of N robots
    before = [graph.add("Unsqueeze", name, time, out=f"{name}_before") for name in state_names(spec)]
    after = [f"{name}_after" for name in STATES[spec.cell]]
    extra = {"linear_before_reset": 1} if spec.cell == "gru" else {}
    graph.node(
        spec.cell.upper(), steps, *weights, *(["", *before] if before else []), out=("", *after),
        hidden_size=spec.hidden_size, **extra,
    )  # fmt: skip
    names = [f"next_{name}" for name in state_names(spec)] or ["remembered"]
    for part, name in zip(after, names, strict=False):  # of a cell without memory the output alone is read
        graph.add("Squeeze", part, time, out=name)
    return names[0]


@torch.no_grad()
def _add_action(graph: Graph, controller: Controller, *, features: tuple[str, str]) -> None:
    """Adds the action, (N, A), within the robot's range."""
    head = controller.policy.action_head
    weight, bias = graph.constant("head.weight", head.weight), graph.constant("head.bias", head.bias)
    if isinstance(head, HyperHead):
        mean = _add_hyper_head(graph, head, features, weights=(weight, bias))
    else:
        mean = graph.linear(graph.add("Concat", *features, out="features", axis=1), weight, bias, out="mean")
    share = graph.clip(mean, 1.0, out="share")
    reach = graph.add("Mul", share, graph.constant("half_range", controller.half_range), out="reach")
    graph.add("Add", reach, graph.constant("middle_of_range", controller.middle_of_range), out="action")


def _add_hyper_head(graph: Graph, head: HyperHead, features: tuple[str, str], *, weights: tuple[str, str]) -> str:
    """Adds the weights that what is remembered makes, and what they read from the encoding: (N, A)."""
    remembered, encoding = features
    scaled = graph.add("Mul", remembered, graph.constant("made_scale", head.in_features**-0.5), out="remembered_scaled")
    flat = graph.linear(scaled, *weights, out="made_flat")
    shape = graph.constant("made_shape", [-1, head.action_dim, head.in_features + 1])
    rows, biases = f"{flat}_rows", f"{flat}_biases"
    made = graph.add("Reshape", flat, shape, out="made")  # (N, A, hidden_size + 1), the last of each its bias
    graph.node("Split", made, graph.constant("made_parts", [head.in_features, 1]), out=(rows, biases), axis=2)
    last = graph.constant("last", [2])
    read = graph.add("MatMul", rows, graph.add("Unsqueeze", encoding, last, out="encoding_column"), out="read")
    return graph.add("Squeeze", graph.add("Add", read, biases, out="means"), last, out="mean")


def _declared(sizes: Mapping[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, [ROBOTS, *size]) for name, size in sizes.items()]
