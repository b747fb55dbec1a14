"""A live page in the browser, on which a person changes the robot under its controller."""

import secrets
from contextlib import closing, suppress
from importlib.util import find_spec

from rich.console import Console

from limbshift.envs.errors import InputError
from limbshift.experiments.runs.controllers import load_with_family
from limbshift.experiments.terminal import make_console
from limbshift.experiments.watching.config import WatchConfig
from limbshift.experiments.watching.live_trial import LiveTrial


def run_watch(config: WatchConfig, console: Console | None = None) -> None:
    """Runs the command, until it is interrupted."""
    if find_spec("viser") is None:
        raise InputError("watch needs viser: pip install '.[watch]'")
    from limbshift.experiments.watching.guard import Guard
    from limbshift.experiments.watching.watch import Show, serving

    console = console or make_console()
    controller, family = load_with_family(config.controller, family_file=config.family_file)
    guard = Guard(secrets.token_urlsafe(16))
    live = LiveTrial(controller, family, split=config.split, seed=config.seed)
    with closing(live), serving(guard, config.port) as server:
        address = guard.page(server.get_port())
        console.print(f"Watch it at {address} (Ctrl-C ends it)", highlight=False, soft_wrap=True)
        with suppress(KeyboardInterrupt):  # which is how a page is ended
            Show(server, live).run()
