"""One step of a controller as an ONNX graph, which runs where there is no PyTorch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from limbshift.agents.belief.network import BeliefNetwork
from limbshift.agents.belief.search import MOST_EVIDENCE, REWARD_ERROR, RULED_OUT, CandidateSearch
from limbshift.agents.controller import Controller
from limbshift.agents.heads import HyperHead
from limbshift.agents.normaliser import CLIP
from limbshift.agents.recurrent import PolicySpec
from limbshift.envs.errors import ControllerError

OPSET = 17
"""Version of ONNX's operators: runtimes since 2022 have it."""
IR_VERSION = 8
"""Of the file's format, of the same time."""
ROBOTS = "robots"
"""The name of the axis N, which may be of any size."""
STATES: Mapping[str, tuple[str, ...]] = {"lstm": ("hidden", "cell"), "gru": ("hidden",)}
"""By cell, the parts of its recurrent state."""
BELIEF_STATE = ("belief_hidden", "belief_cell")
"""The same of a belief network's LSTM."""
SEARCH_STATE = ("likelihood",)
"""The same of a search among candidate tasks."""
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

    def rows_linear(self, x: str, layer: nn.Linear, *, out: str) -> str:
        """Adds the same of a layer for x of more axes than two. Returns the output's name."""
        turned = self.constant(f"{out}.weight", layer.weight.T)
        return self.add(
            "Add",
            self.add("MatMul", x, turned, out=f"{out}.product"),
            self.constant(f"{out}.bias", layer.bias),
            out=out,
        )

    def clip(self, x: str, limit: float, *, out: str) -> str:
        """Adds x, held between -limit and limit. Returns the output's name."""
        ends = [self.constant(f"{out}.{end}", value) for end, value in (("lowest", -limit), ("highest", limit))]
        return self.add("Clip", x, *ends, out=out)


def step_model(controller: Controller, about: Mapping[str, str]) -> onnx.ModelProto:
    """Returns a step of N robots, whose memory goes in and comes out; all numbers are float32.

    Inputs: `obs` (N, obs_dim); where the controller has a memory `previous_action` (N, A) in the robot's own units,
    `previous_reward` (N,) unless it was trained with its reward hidden, `episode_start` (N,), 1 on the first step of an
    episode and else 0, and the parts of the recurrent state, (N, hidden_size): `hidden`, and `cell` of an LSTM; and
    those of a belief network, `belief_hidden` and `belief_cell`, (N, belief_size), or, of one that searches among
    candidate tasks, `likelihood`, (N, num_candidates). Where a trial begins, previous reward and state are zero, and
    the previous action is the middle of the range. Outputs: `action` (N, A) within the robot's range, and the state for
    the next step, `next_hidden` and so on.

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
    cell = controller.policy.recurrent
    remembered = _add_memory(graph, cell, encoding, kind=spec.cell, state=STATES[spec.cell] if spec.memory else ())
    _add_action(graph, controller, features=(remembered, encoding))
    state = {name: (size,) for name, size in zip(state_names(spec), spec.state_sizes, strict=False)}
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
    belief = () if not spec.belief_size else SEARCH_STATE if spec.num_candidates else BELIEF_STATE
    return (*STATES[spec.cell], *belief) if spec.memory else ()


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
    if policy.belief is None:
        return _add_encoder(graph, policy.encoder, normalised, columns=columns, out="encoding")
    guess = _add_guess(graph, policy.belief, normalised, columns=columns)
    believed = graph.add("Concat", normalised, guess, out="believed", axis=1)
    guessed = torch.arange(policy.spec.belief_dim) + policy.spec.trial_obs_dim
    return _add_encoder(graph, policy.encoder, believed, columns=torch.cat([columns, guessed]), out="encoding")


def _add_encoder(graph: Graph, encoder: nn.Linear, seen: str, *, columns: Tensor, out: str) -> str:
    """Adds what an encoder makes of those columns of its input that are seen. Returns the output's name."""
    weight = graph.constant(f"{out}.weight", encoder.weight[:, columns])
    bias = graph.constant(f"{out}.bias", encoder.bias)
    return graph.add("Tanh", graph.linear(seen, weight, bias, out=f"{out}.in"), out=out)


def _add_guess(graph: Graph, belief: BeliefNetwork | CandidateSearch, normalised: str, *, columns: Tensor) -> str:
    """Adds what the task is taken to be, (N, task_dim), and the state for the next step. Returns the output's name."""
    if isinstance(belief, CandidateSearch):
        return _add_search(graph, belief, normalised)
    encoding = _add_encoder(graph, belief.encoder, normalised, columns=columns, out="belief_encoding")
    inferred = _add_memory(graph, belief.recurrent, encoding, kind="lstm", state=BELIEF_STATE)
    head = [graph.constant(f"task_head.{name}", value) for name, value in belief.head.named_parameters()]
    return graph.linear(inferred, *head, out="guess")


@torch.no_grad()
def _add_search(graph: Graph, search: CandidateSearch, normalised: str) -> str:
    """Adds what a search holds for true, (N, task_dim), and the candidates' log-likelihoods for the next step."""
    parts = graph.constant("search.parts", [search.encoder.in_features, 1, 1])
    graph.node("Split", normalised, parts, out=("searched", "rewarded", "restarted"), axis=1)
    encoder = [graph.constant(f"search.encoder.{name}", value) for name, value in search.encoder.named_parameters()]
    encoding = graph.linear("searched", *encoder, out="search.encoding")
    row, last = graph.constant("search.row", [1]), graph.constant("search.last", [2])
    each = graph.add("Unsqueeze", encoding, row, out="search.each")  # (N, 1, size)
    encoded = graph.constant("search.encoded", search.task(search.head.candidates))
    first = graph.add("Relu", graph.add("Add", each, encoded, out="search.both"), out="search.first")
    second = graph.add("Relu", graph.rows_linear(first, search.hidden, out="search.mixed"), out="search.second")
    predicted = graph.add(
        "Squeeze", graph.rows_linear(second, search.reward, out="search.rewards"), last, out="predicted"
    )
    missed = graph.add("Sub", predicted, "rewarded", out="missed")
    squared = graph.add("Mul", missed, missed, out="missed_squared")
    scaled = graph.add(
        "Mul", squared, graph.constant("search.scale", 1 / (2 * REWARD_ERROR**2)), out="evidence_against"
    )
    most = graph.add("Min", scaled, graph.constant("search.most", MOST_EVIDENCE), out="evidence_held")
    follows = graph.add("Sub", graph.constant("search.one", 1.0), "restarted", out="follows")
    evidence = graph.add("Mul", most, follows, out="evidence")
    lowered = graph.add("Sub", SEARCH_STATE[0], evidence, out="lowered")
    likeliest = graph.add("ReduceMax", lowered, out="likeliest", axes=[1], keepdims=1)
    relative = graph.add("Sub", lowered, likeliest, out="relative")
    likelihood = graph.add("Max", relative, graph.constant("ruled_out", RULED_OUT), out=f"next_{SEARCH_STATE[0]}")
    preferred = graph.add("Sub", likelihood, graph.constant("reluctance", search.head.reluctance), out="preferred")
    place = graph.add("ArgMax", preferred, out="held_for_true", axis=1, keepdims=0)
    return graph.add("Gather", graph.constant("candidates", search.head.candidates), place, out="guess", axis=0)


@torch.no_grad()
def _add_memory(graph: Graph, cell: nn.Module, encoding: str, *, kind: str, state: tuple[str, ...]) -> str:
    """Adds a recurrent cell: returns its output, (N, its size), which is also the first part of the next state.

    state: the names of its state's parts; empty where nothing is remembered.
    """
    gates = torch.tensor(GATES[kind])

    def in_order(name: str) -> Tensor:
        """PyTorch's rows of one gate after rows of another, in ONNX's order."""
        rows: Tensor = cell.get_parameter(name).detach()
        ordered: Tensor = rows.unflatten(0, (len(gates), -1))[gates]
        return ordered.flatten(0, 1)

    weights = [
        graph.constant(f"{encoding}.{kind}.{name}", value.unsqueeze(0))
        for name, value in (
            ("weight_ih", in_order("weight_ih_l0")),
            ("weight_hh", in_order("weight_hh_l0")),
            ("bias", torch.cat([in_order("bias_ih_l0"), in_order("bias_hh_l0")])),
        )
    ]
    time = graph.constant(f"{encoding}.time", [0])
    steps = graph.add("Unsqueeze", encoding, time, out=f"{encoding}_steps")  # one step of N robots
    before = [graph.add("Unsqueeze", name, time, out=f"{name}_before") for name in state]
    after = [f"{name}_after" for name in state or STATES[kind]]
    extra = {"linear_before_reset": 1} if kind == "gru" else {}
    graph.node(
        kind.upper(), steps, *weights, *(["", *before] if before else []), out=("", *after),
        hidden_size=cell.hidden_size, **extra,
    )  # fmt: skip
    names = [f"next_{name}" for name in state] or ["remembered"]
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
