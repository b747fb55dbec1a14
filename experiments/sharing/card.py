"""A controller's model card, in the form that Hugging Face reads: metadata, then Markdown."""

import json
from collections.abc import Sequence

from limbshift.experiments.figures.trials import trials_phrase
from limbshift.experiments.sharing.record import Record, SplitRecord
from limbshift.experiments.wording import filled, markdown_table, number, percent, with_interval

CARD = "README.md"
"""Its name, by which it is found."""
SPLITS = {
    "train": "trained on",
    "heldout": "held out",
    "extrapolation": "outside the training ranges",
}
CONTROLS = {
    "memory_off": "memory off",
    "memory_wiped_each_episode": "memory wiped each episode",
    "random": "random actions",
}


def card(record: Record, video: str = "") -> str:
    """Returns the card; video is the name of a file beside it, if there is one."""
    title = record.family if record.variant == "default" else f"{record.family}, variant {record.variant}"
    parts = [metadata(record), f"# {title}", _trained(record), *_heldout(record.heldout)]
    parts.append(_by_split(record.splits))
    parts += [filled(record.words)] if record.words else []
    parts += [f"[A video of it adapting]({video})"] if video else []
    return "\n\n".join([*parts, _use(record)]) + "\n"


def metadata(record: Record) -> str:
    """Returns the front matter: YAML, of which JSON is a part."""
    results = [
        {
            "task": {"type": "reinforcement-learning", "name": "meta-reinforcement-learning"},
            "dataset": {"type": f"limbshift/{record.family}", "name": f"{record.family}, {split.split} tasks"},
            "metrics": [
                {"type": "return", "name": "IQM return, last episode", "value": round(split.returns.iqm[-1], 1)},
                {"type": "falls", "name": "share of episodes with a fall", "value": round(split.falls, 3)},
            ],
        }
        for split in record.splits
    ]
    about = {
        "library_name": "limbshift",
        "pipeline_tag": "reinforcement-learning",
        "tags": ["meta-reinforcement-learning", "robotics", "mujoco", record.family],
        "model-index": [{"name": record.family, "results": results}],
    }
    lines = [f"{name}: {json.dumps(value)}" for name, value in about.items()]
    return "\n".join(["---", *lines, "---"])


def _trained(record: Record) -> str:
    where = f" on {record.where}" if record.where else ""
    trial = f"in trials of {record.episodes} x {record.horizon} steps"
    how = f": `{record.how}`" if record.how else ""
    amount = f"{record.minutes:.0f} minutes" if record.minutes >= 10 else f"{record.minutes:.1f} minutes"
    return filled(f"Meta-trained for {amount} ({record.steps / 1e6:.1f} M env steps){where}, {trial}{how}.")


def _heldout(split: SplitRecord) -> list[str]:
    seen = "never trained on" if split.unseen else "the same that it was trained on"
    played = trials_phrase(split.num_tasks, split.distinct_tasks or split.num_tasks, split.split)
    intro = f"Return per episode {played}, {seen}: interquartile mean, with its 95 %"
    ways = [split.returns, *(split.controls[name] for name in CONTROLS)]
    rows = [
        (str(episode + 1), *(with_interval(way, episode) for way in ways)) for episode in range(len(split.returns.iqm))
    ]
    time = split.adaptation_time_s
    adapted = (
        "Episode 1 does not come within a tenth of the last."
        if time is None
        else f"It has adapted {time:.1f} s after the start, picking up speed included."
    )
    return [
        filled(f"{intro} bootstrap interval."),
        markdown_table([("episode", "controller", *CONTROLS.values()), *rows]),
        adapted,
    ]


def _by_split(splits: Sequence[SplitRecord]) -> str:
    rows = [("tasks", "last episode", "its worst tenth of the tasks", "episodes with a fall", "random actions")]
    for split in splits:
        returns, random = with_interval(split.returns, -1), with_interval(split.controls["random"], -1)
        rows.append((SPLITS[split.split], returns, number(split.worst10), percent(split.falls), random))
    return markdown_table(rows)


def _use(record: Record) -> str:
    name = "controller.safetensors"
    return (
        f"```\nlimbshift evaluate {name}    # with limbshift {record.version} or later\n"
        f"limbshift render {name} --out adaptation.mp4\n```"
    )
