"""One of the ranks that `limbshift train --ranks` starts: python -m limbshift.experiments.ranks.worker FOLDER."""

import os
import signal
import sys
from pathlib import Path

from limbshift.envs.errors import InputError, RunFailure


def main(folder: Path) -> int:
    """Trains; what ends the training is left for the launcher to tell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while PyTorch is imported, without a traceback
    from limbshift.experiments.cli import explained, print_anywhere
    from limbshift.experiments.commands.train import run_training
    from limbshift.experiments.ranks.worker_files import ENDED, FINISHED, SETTINGS
    from limbshift.experiments.runs.directory import write_json
    from limbshift.experiments.runs.resume import read_config_file

    print_anywhere()
    try:
        outcome = run_training(read_config_file(folder / SETTINGS))
    except (InputError, RunFailure, OSError, KeyboardInterrupt) as error:
        line, status = explained(error)
        write_json(folder / ENDED, {"line": line, "status": status})
        return status
    if outcome.finished and os.environ["RANK"] == "0":
        (folder / FINISHED).touch()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
