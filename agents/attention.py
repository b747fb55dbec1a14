"""A transformer over the last steps of a trial: it reads many at once, or one after another from what it keeps."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

HEADS = 4
LAYERS = 2
OUTPUT_SCALE = 0.3
"""Of an untrained transformer's numbers, their root mean square: about as large as an LSTM's."""
Kept = tuple[Tensor, ...]
"""What is kept of the steps before: see `CausalTransformer`. Empty where there were none."""


class Block(nn.Module):
    """Attention and a perceptron of twice the width; each reads what is normalised, and adds to what it read."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(size)
        self.query_key_value = nn.Linear(size, 3 * size)
        self.mix = nn.Linear(size, size)
        self.mlp_norm = nn.LayerNorm(size)
        self.widen = nn.Linear(size, 2 * size)
        self.narrow = nn.Linear(2 * size, size)

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns queries and keys, rotated, and values of (N, T, size): (N, heads, T, size / heads) each."""
        each: Tensor = self.query_key_value(self.attention_norm(x)).unflatten(-1, (3, HEADS, -1))
        query, key, value = each.permute(2, 0, 3, 1, 4)
        return rotated(query, cos, sin), rotated(key, cos, sin), value

    def add(self, x: Tensor, attended: Tensor) -> Tensor:
        """Adds to (N, T, size) what was attended to, (N, heads, T, size / heads), and what the perceptron makes."""
        x = x + self.mix(attended.transpose(1, 2).flatten(2))
        added: Tensor = self.narrow(gelu(self.widen(self.mlp_norm(x))))
        return x + added


class CausalTransformer(nn.Module):
    """Two blocks of causal attention over at most the last `context` steps, called as `nn.LSTM` is.

    What is kept of N trials is for each block the keys and the values of the last steps, (N, context * size) each,
    and how many steps were seen, (N, 1). The step number s of a trial has the place s mod context: a step is written
    over by the one that no longer sees it. Zeros mean that nothing was seen, and rows may differ in how much was.

    Keys are kept as they were rotated at their own step, so that distances between steps alone count. All angles
    return after two windows, so that counting may begin anew: a robot may act for as long as it likes.

    Sources: Vaswani et al., "Attention is all you need" (2017); Xiong et al., "On layer normalization in the
    transformer architecture" (2020), normalised before; Su et al., "RoFormer" (2021), the rotation.

    >>> transformer = CausalTransformer(size=8, context=5)
    >>> output, kept = transformer(torch.zeros(7, 4, 8))  # T, N, size
    >>> output.shape, [part.shape[1] for part in kept]
    (torch.Size([7, 4, 8]), [40, 40, 40, 40, 1])
    >>> one_more, kept = transformer.step(torch.zeros(4, 8), kept)
    """

    rotation: Tensor

    def __init__(self, size: int, context: int) -> None:
        """size: a multiple of 8."""
        super().__init__()
        self.size = size
        self.context = context
        self.blocks = nn.ModuleList(Block(size) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(size)
        self.register_buffer("rotation", rotation_table(size // HEADS, context), persistent=False)
        self._initialise()

    def forward(self, x: Tensor, kept: Kept = ()) -> tuple[Tensor, Kept]:
        """Reads T steps, (T, N, size), after those that are kept: returns what is made of them, and what is kept."""
        steps, rows, _ = x.shape
        x = x.transpose(0, 1)
        seen = kept[-1].long() if kept else torch.zeros(rows, 1, dtype=torch.int64, device=x.device)
        cos, sin = self._rotations(seen + torch.arange(steps, device=x.device))
        visible = self._visible(seen, steps, alone=not kept) if kept or steps > self.context else None
        latest = self._latest(seen, steps)
        after: list[Tensor] = []
        for number, block in enumerate(self._blocks()):
            query, key, value = block.project(x, cos, sin)
            if kept:
                before = [self._by_head(part) for part in kept[2 * number :][:2]]
            else:
                before = [key.new_zeros(1, 1, 1, 1).expand(rows, HEADS, self.context, key.shape[-1])] * 2
            every = [torch.cat(both, dim=2) for both in zip(before, (key, value), strict=True)]
            after += [each.gather(2, latest.expand_as(before[0])).flatten(1) for each in every]
            keys, values = every if kept else (key, value)
            attended = scaled_dot_product_attention(query, keys, values, visible, is_causal=visible is None)
            x = block.add(x, attended)
        output: Tensor = self.norm(x)
        return output.transpose(0, 1), (*after, self._counted(seen + steps).to(x.dtype))

    @torch.no_grad()
    def step(self, x: Tensor, kept: Kept) -> tuple[Tensor, Kept]:
        """Reads one step, (N, size), after those that are kept: returns what is made of it, and what is kept.

        Keys and values are written in place, for copying them would take longer than all else: what was kept before
        is used up, except for one step that takes the place of this one. No gradients flow.
        """
        seen = kept[-1].long()
        cos, sin = self._rotations(seen)
        visible = torch.arange(self._places_to_read(seen), device=x.device) <= seen  # (N, places)
        place = (seen % self.context).view(-1, 1, 1, 1).expand(-1, HEADS, 1, self.size // HEADS)
        read = slice(visible.shape[1])
        x = x.unsqueeze(1)
        for number, block in enumerate(self._blocks()):
            query, key, value = block.project(x, cos, sin)
            keys, values = (self._by_head(part) for part in kept[2 * number :][:2])
            keys.scatter_(2, place, key)
            values.scatter_(2, place, value)
            attended = scaled_dot_product_attention(query, keys[:, :, read], values[:, :, read], visible[:, None, None])
            x = block.add(x, attended)
        output: Tensor = self.norm(x)
        return output.squeeze(1), (*kept[:-1], self._counted(seen + 1).to(x.dtype))

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

    def _by_head(self, part: Tensor) -> Tensor:
        """Returns a view of what is kept, (N, context * size), by head and place: (N, heads, context, size / heads)."""
        return part.view(-1, HEADS, self.context, self.size // HEADS)

    def _rotations(self, number: Tensor) -> tuple[Tensor, Tensor]:
        """Returns cosines and sines of the steps with these numbers, (N, T): (N, 1, T, size / heads / 2) each."""
        cos, sin = self.rotation[:, number % (2 * self.context)].unsqueeze(2)
        return cos, sin

    def _counted(self, seen: Tensor) -> Tensor:
        """Returns how many steps were seen; after three windows, as many as after one: places and angles are alike."""
        return torch.where(seen < 3 * self.context, seen, self.context + (seen - self.context) % (2 * self.context))

    def _visible(self, seen: Tensor, steps: int, *, alone: bool) -> Tensor:
        """Returns which steps each of T new ones sees: by place those that are kept, unless it is alone, and the new.

        (N, 1, T, context + T), or (T, T).
        """
        now = torch.arange(steps, device=seen.device)
        distance = now.unsqueeze(1) - now
        new = (distance >= 0) & (distance < self.context)
        if alone:
            return new
        age = (seen - 1 - torch.arange(self.context, device=seen.device)) % self.context  # 0 for the last one
        old = (age < seen).unsqueeze(1) & (age.unsqueeze(1) + now.unsqueeze(1) + 1 < self.context)  # (N, T, context)
        return torch.cat([old, new.expand(len(seen), -1, -1)], dim=-1).unsqueeze(1)

    def _latest(self, seen: Tensor, steps: int) -> Tensor:
        """Returns where, in what was kept and then T new steps, the last of each place is: (N, 1, context, 1)."""
        place = torch.arange(self.context, device=seen.device)
        new = steps - 1 - (seen + steps - 1 - place) % self.context  # (N, context); below 0 where none has come
        return torch.where(new < 0, place, self.context + new)[:, None, :, None]

    def _places_to_read(self, seen: Tensor) -> int:
        """Returns how many places to read from; all of them on a GPU, where the host would have to wait to know."""
        if seen.device.type != "cpu":
            return self.context
        return min(int(seen.max()) + 1, self.context)

    @torch.no_grad()
    def _initialise(self) -> None:
        """Makes orthogonal weights; those that add to what goes by are small, so that at first little is added."""
        nn.init.constant_(self.norm.weight, OUTPUT_SCALE)
        for block in self._blocks():
            queries_keys_values = block.query_key_value.weight.chunk(3)
            small = 1 / math.sqrt(2 * LAYERS)
            for weight, gain in (
                *((each, 1.0) for each in queries_keys_values),
                (block.mix.weight, small),
                (block.widen.weight, math.sqrt(2)),
                (block.narrow.weight, small),
            ):
                nn.init.orthogonal_(weight, gain)
            for layer in (block.query_key_value, block.mix, block.widen, block.narrow):
                nn.init.zeros_(layer.bias)


def kept_sizes(size: int, context: int) -> tuple[int, ...]:
    """Returns the sizes of what is kept of a trial: keys and values of each block, and how many steps were seen.

    >>> kept_sizes(size=8, context=5)
    (40, 40, 40, 40, 1)
    """
    return (*[context * size] * 2 * LAYERS, 1)


def rotation_table(size: int, context: int) -> Tensor:
    """Returns cosines and sines, (2, 2 * context, size / 2), of the angles by which step after step is rotated.

    From one step to the next the first pair of numbers turns by half a turn over the window, the last by about one
    radian, those between by angles in geometric order; each by a whole multiple of the first.
    """
    most = max(1.0, context / math.pi)
    multiples = (torch.linspace(0, math.log(most), size // 2, dtype=torch.float64)).exp().round()
    angle = torch.arange(2 * context).unsqueeze(-1) * multiples * (math.pi / context)
    return torch.stack([angle.cos(), angle.sin()]).float()


def rotated(pairs: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates pairs of numbers, each of the first half of (..., size) with its own of the second, by their angles.

    >>> rotated(torch.tensor([1.0, 0.0]), torch.tensor([0.0]), torch.tensor([1.0]))  # a quarter of a turn
    tensor([0., 1.])
    """
    first, second = pairs.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
