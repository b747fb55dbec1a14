"""The transformer: against plain attention, and step by step against all steps at once."""

import math

import pytest
import torch
from torch import Tensor

from limbshift.agents.attention import HEADS, CausalTransformer, kept_sizes, rotated, rotation_table

SIZE, ROWS = 16, 3


def make_transformer(context: int, size: int = SIZE) -> CausalTransformer:
    """Whose blocks add as much as they can, and have biases."""
    torch.manual_seed(0)
    transformer = CausalTransformer(size, context)
    for parameter in transformer.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, mean=1.0, std=0.3)
        else:
            torch.nn.init.normal_(parameter, std=1 / math.sqrt(size))
    return transformer


def steps_of(number: int, seed: int = 1) -> Tensor:
    return torch.randn(number, ROWS, SIZE, generator=torch.Generator().manual_seed(seed))


def nothing(context: int) -> tuple[Tensor, ...]:
    return tuple(torch.zeros(ROWS, size) for size in kept_sizes(SIZE, context))


def stepped(transformer: CausalTransformer, x: Tensor, kept: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Reads steps one after another; what was kept stays as it was."""
    kept, outputs = tuple(part.clone() for part in kept), []
    for each in x:
        output, kept = transformer.step(each, kept)
        outputs.append(output)
    return torch.stack(outputs), kept


def plain_attention(transformer: CausalTransformer, x: Tensor) -> Tensor:
    """What a transformer makes of steps (T, size) of one trial, as textbooks write it: step by step, head by head."""
    width, context = transformer.size // HEADS, transformer.context
    for block in transformer._blocks():
        read = block.query_key_value(block.attention_norm(x)).view(len(x), 3, HEADS, width)
        added = torch.zeros(len(x), HEADS, width)
        for head in range(HEADS):
            for now in range(len(x)):
                seen = range(max(0, now - context + 1), now + 1)
                scores = []
                for then in seen:
                    cos, sin = transformer.rotation[:, now - then]  # the distance alone
                    query, key = read[now, 0, head], read[then, 1, head]
                    scores.append(query @ rotated(key, cos, -sin) / math.sqrt(width))
                weights = torch.stack(scores).softmax(0)
                added[now, head] = weights @ read[seen.start : seen.stop, 2, head]
        x = x + block.mix(added.flatten(1))
        x = x + block.narrow(torch.nn.functional.gelu(block.widen(block.mlp_norm(x))))
    return transformer.norm(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("context", [1, 4, 9, 30])
@torch.no_grad()
def test_it_is_plain_attention_to_the_last_steps(context: int) -> None:
    transformer, x = make_transformer(context), steps_of(9)
    output, _ = transformer(x)
    torch.testing.assert_close(output[:, 1], plain_attention(transformer, x[:, 1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("context", [1, 2, 5, 8, 40])
@pytest.mark.parametrize("before", [0, 1, 4, 8, 23])
@pytest.mark.parametrize("steps", [1, 3, 8, 19])
@torch.no_grad()
def test_steps_one_by_one_are_steps_at_once(context: int, before: int, steps: int) -> None:
    """From nothing and from the middle of a trial, within the window, across its end, and after many windows."""
    transformer, x = make_transformer(context), steps_of(before + steps)
    _, kept = stepped(transformer, x[:before], nothing(context)) if before else (None, nothing(context))
    if before:
        torch.testing.assert_close(kept, transformer(x[:before])[1])
    at_once, after = transformer(x[before:], kept)
    one_by_one, last = stepped(transformer, x[before:], kept)
    torch.testing.assert_close(one_by_one, at_once)
    torch.testing.assert_close(last, after)
    torch.testing.assert_close(at_once, transformer(x)[0][before:])


@torch.no_grad()
def test_rows_that_begin_at_other_times_are_as_if_alone() -> None:
    """Row 0 begins anew before step 7, row 1 before step 4, row 2 never; the window is of 5 steps."""
    context, x, begin = 5, steps_of(16), [7, 4, 0]
    transformer, kept = make_transformer(context), nothing(context)
    for t in range(9):
        anew = torch.tensor([[float(t == first)] for first in begin])
        kept = (*kept[:-1], kept[-1] * (1 - anew))
        _, kept = transformer.step(x[t], kept)
    at_once, _ = transformer(x[9:], kept)
    one_by_one, _ = stepped(transformer, x[9:], kept)
    torch.testing.assert_close(one_by_one, at_once)
    for row, first in enumerate(begin):
        alone, _ = transformer(x[first:, row : row + 1])
        torch.testing.assert_close(at_once[:, row], alone[9 - first :, 0])


@torch.no_grad()
def test_zeros_begin_a_trial_anew() -> None:
    transformer, x = make_transformer(5), steps_of(12)
    _, kept = stepped(transformer, x[:7], nothing(5))
    again, _ = stepped(transformer, x[7:], tuple(torch.zeros_like(part) for part in kept))
    torch.testing.assert_close(again, transformer(x[7:])[0])


@torch.no_grad()
def test_counting_begins_anew_and_nothing_changes() -> None:
    """After 1,000 steps, which are 200 windows, the numbers are small, and the last five steps alone count twice over.

    What the second block keeps of a step depends on four steps before it: nine steps decide.
    """
    transformer, x = make_transformer(5), steps_of(1000)
    output, kept = stepped(transformer, x, nothing(5))
    assert (kept[-1] < 15).all()
    torch.testing.assert_close(output[-1], transformer(x[-9:])[0][-1])
    assert not torch.allclose(output[-1], transformer(x[-8:])[0][-1])


@torch.no_grad()
def test_a_step_writes_where_it_is_kept_and_may_be_taken_again() -> None:
    """With a window that is full: the step that is taken instead of another is as if the other had never been."""
    transformer, x = make_transformer(4), steps_of(12)
    _, kept = stepped(transformer, x[:10], nothing(4))
    expected, _ = transformer(x[11:], tuple(part.clone() for part in kept))
    _, other = transformer.step(x[10], kept)
    assert all(part.data_ptr() == new.data_ptr() for part, new in zip(kept[:-1], other[:-1], strict=True))
    taken, _ = transformer.step(x[11], kept)
    torch.testing.assert_close(taken, expected[0])


def test_a_rotation_worked_by_hand() -> None:
    """Three numbers to a window of 4: from step to step the first turns by pi / 4, and the last by 1, near pi / 4 too.

    Of a window of 100 the last turns by the multiple of pi / 100 that is nearest to 1, which is 32.
    """
    cos, sin = rotation_table(size=6, context=4)
    assert cos.shape == (8, 3)
    assert cos[1].tolist() == pytest.approx([math.sqrt(0.5)] * 3)
    assert sin[2].tolist() == pytest.approx([1.0] * 3)
    cos, sin = rotation_table(size=4, context=100)
    assert cos[1].tolist() == pytest.approx([math.cos(math.pi / 100), math.cos(32 * math.pi / 100)])
    assert sin[50].tolist() == pytest.approx([1.0, 0.0], abs=1e-6)


def test_what_comes_later_is_not_seen() -> None:
    transformer, x = make_transformer(8), steps_of(6).requires_grad_()
    output, _ = transformer(x)
    (gradient,) = torch.autograd.grad(output[3].sum(), x)
    assert gradient[:4].abs().amax(dim=(1, 2)).min() > 0
    assert not gradient[4:].any()
