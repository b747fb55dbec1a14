"""Meta-learning in the small: functions of which a few points are seen, by an LSTM and by MAML."""

import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from limbshift.envs.tasks.streams import RandomStream

Kind = Literal["lines", "sinusoids"]
KINDS: tuple[Kind, ...] = ("lines", "sinusoids")
EXAMPLES = 20
"""Points of a function that are seen, one after another."""
TEST_TASKS = 512
Parameters = dict[str, Tensor]


class Tasks(NamedTuple):
    """Points of N functions: (T, N) each."""

    x: Tensor
    y: Tensor


def line(x: Tensor, uniform: Tensor) -> Tensor:
    """Returns a x + b, with a in [-2, 2] and b in [-1, 1] made of two numbers in (0, 1).

    >>> line(torch.tensor([0.0, 1.0]), torch.tensor([0.75, 0.5])).tolist()  # slope 1, offset 0
    [0.0, 1.0]
    """
    slope, offset = uniform.unbind(dim=-1)
    return (4 * slope - 2) * x + 2 * offset - 1


def sinusoid(x: Tensor, uniform: Tensor) -> Tensor:
    """Returns A sin(x + phase), with A in [0.1, 5] and phase in [0, pi], as in Finn et al. (2017), section 5.1."""
    amplitude, phase = uniform.unbind(dim=-1)
    return (0.1 + 4.9 * amplitude) * torch.sin(x + math.pi * phase)


FUNCTIONS: dict[Kind, tuple[Callable[[Tensor, Tensor], Tensor], float]] = {
    "lines": (line, 1.0),
    "sinusoids": (sinusoid, 5.0),
}
"""By kind, and how far from 0 they are looked at."""


class TaskSampler:
    """Draws tasks of a kind; those of meta-testing come from a stream that meta-training never draws from."""

    def __init__(self, kind: Kind, split: Literal["meta_train", "meta_test"], seed: int) -> None:
        self._function, self._reach = FUNCTIONS[kind]
        self._tasks = RandomStream("regression task", kind, split, seed)
        self._points = RandomStream("regression points", kind, split, seed)
        self._drawn = 0

    def draw(self, count: int, num_points: int = EXAMPLES + 1) -> Tasks:
        """Returns the next tasks, with x spread evenly: (num_points, count)."""
        index = torch.arange(self._drawn, self._drawn + count)
        self._drawn += count
        none = torch.zeros_like(index)
        x = self._reach * (2 * self._points.uniform(index, none, num_points).T - 1)
        return Tasks(x.float(), self._function(x, self._tasks.uniform(index, none, 2)).float())


class Learner(Protocol):
    """What learns to learn."""

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def loss(self, tasks: Tasks) -> Tensor:
        """Returns what meta-training makes small, a scalar."""
        ...

    def errors(self, tasks: Tasks) -> Tensor:
        """Returns (EXAMPLES + 1, N) squared errors on a point, after as many examples as the row's number."""
        ...


class LSTMLearner(nn.Module):
    """Reads (x_t, y_{t-1}) and predicts y_t: learning a function is running forward."""

    def __init__(self, hidden_size: int = 64) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, hidden_size)
        self.head = nn.Linear(hidden_size, 1)

    def forward(self, tasks: Tasks) -> Tensor:
        """Returns (T, N) predictions, each made before its answer is seen."""
        previous = torch.cat([torch.zeros_like(tasks.y[:1]), tasks.y[:-1]])
        output, _ = self.lstm(torch.stack([tasks.x, previous], dim=-1))
        prediction: Tensor = self.head(output)
        return prediction.squeeze(-1)

    def loss(self, tasks: Tasks) -> Tensor:
        return self.errors(tasks).mean()

    def errors(self, tasks: Tasks) -> Tensor:
        squares: Tensor = (self(tasks) - tasks.y).square()
        return squares


class MAMLLearner(nn.Module):
    """A small network whose weights are so placed that a few gradient steps on a function's points fit it.

    Source: Finn et al., "Model-agnostic meta-learning for fast adaptation of deep networks" (2017), algorithm 1.
    """

    def __init__(self, inner_lr: float, inner_steps: int = 3, hidden_size: int = 40) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(1, hidden_size),
            nn.Tanh(),
            nn.Linear(hidden_size, hidden_size),
            nn.Tanh(),
            nn.Linear(hidden_size, 1),
        )
        self.inner_lr = inner_lr
        """Step size of learning a function, in the inner loop."""
        self.inner_steps = inner_steps

    def loss(self, tasks: Tasks) -> Tensor:
        """Returns the error on points that were not seen, after a number of examples that differs from task to task."""
        seen = torch.arange(tasks.x.shape[1]) % EXAMPLES + 1
        return self._errors_after(tasks, seen).mean()

    def errors(self, tasks: Tasks) -> Tensor:
        counts = torch.arange(EXAMPLES + 1)
        return torch.stack([self._errors_after(tasks, count.expand(tasks.x.shape[1])) for count in counts])

    def _errors_after(self, tasks: Tasks, seen: Tensor) -> Tensor:
        """Returns (N,) squared errors on the last point, when as many of the first (N,) have been learnt from."""
        learnt = (torch.arange(EXAMPLES).unsqueeze(-1) < seen).float()  # (EXAMPLES, N)
        examples = Tasks(tasks.x[:EXAMPLES], tasks.y[:EXAMPLES])
        adapted = vmap(self._adapt, in_dims=(None, 1, 1, 1), out_dims=0)
        weights = adapted(dict(self.network.named_parameters()), examples.x, examples.y, learnt)
        predicted = vmap(self._predict)(weights, tasks.x[-1:].T)
        return (predicted.squeeze(-1) - tasks.y[-1]).square()

    def _adapt(self, weights: Parameters, x: Tensor, y: Tensor, learnt: Tensor) -> Parameters:
        """Returns the weights after gradient descent on the examples that learnt, (T,), counts."""

        def error(weights: Parameters) -> Tensor:
            return (learnt * (self._predict(weights, x) - y).square()).sum() / learnt.sum().clamp(min=1)

        for _ in range(self.inner_steps):
            slopes = grad(error)(weights)
            weights = {name: weight - self.inner_lr * slopes[name] for name, weight in weights.items()}
        return weights

    def _predict(self, weights: Parameters, x: Tensor) -> Tensor:
        """Maps points of one function, (T,), to predictions, (T,)."""
        prediction: Tensor = functional_call(self.network, weights, (x.unsqueeze(-1),))
        return prediction.squeeze(-1)


def meta_train(learner: Learner, sampler: TaskSampler, *, outer_lr: float, iterations: int, num_tasks: int) -> None:
    """Descends along the gradient of the learner's loss on ever new tasks: the outer loop.

    >>> learner = LSTMLearner(hidden_size=4)
    >>> meta_train(learner, TaskSampler("lines", "meta_train", 0), outer_lr=1e-2, iterations=2, num_tasks=8)
    >>> len(meta_test(learner, TaskSampler("lines", "meta_test", 0))) == EXAMPLES + 1
    True
    """
    optimizer = torch.optim.Adam(learner.parameters(), lr=outer_lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, iterations)
    for _ in range(iterations):
        loss = learner.loss(sampler.draw(num_tasks))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def meta_test(learner: Learner, sampler: TaskSampler) -> list[float]:
    """Returns mean squared errors on new tasks, as shares of their values' variance, by number of examples seen."""
    tasks = sampler.draw(TEST_TASKS)
    with torch.no_grad():
        errors = learner.errors(tasks).mean(dim=-1)
    shares: list[float] = (errors / tasks.y.var()).tolist()
    return shares
