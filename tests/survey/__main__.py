"""Surveys all robots, two at a time, and writes docs/own-robots.md; what was surveyed is kept in .cache/survey."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tests.survey.page import write_page
from tests.survey.scenes import CACHE, PROJECTS, fetch, scenes

WORKERS = 2
TIMEOUT = 3600.0
"""Seconds for one robot: a fly of 108 joints, whose time step is 0.1 ms, takes half of them."""
RESULTS = CACHE / "results.json"


def survey(path: Path) -> dict[str, Any]:
    """Returns what came of one robot, in a process of its own: MuJoCo may end it."""
    command = [sys.executable, "-m", "tests.survey.robot", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"took more than {TIMEOUT:g} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Surveys what is not yet surveyed."""
    results: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    paths = {f"{name}/{path.relative_to(fetch(name))}": path for name in PROJECTS for path in scenes(name)}
    missing = [name for name in paths if name not in results]
    with ThreadPoolExecutor(WORKERS) as pool:
        begun = {pool.submit(survey, paths[name]): name for name in missing}
        for each in as_completed(begun):
            name, found = begun[each], each.result()
            results[name] = found
            RESULTS.write_text(json.dumps(results, indent=1))
            print(f"{len(results)} of {len(paths)}: {name}: {summary(found)}", flush=True)
    write_page({name: results[name] for name in paths})


def summary(found: dict[str, Any]) -> str:
    """Returns what came of a robot, in some words."""
    for fault in ("failed", "refused"):
        if fault in found:
            return f"{fault}: {found[fault]}"
    return "trained on " + ", ".join(kind for kind, each in found["families"].items() if "refused" not in each)


if __name__ == "__main__":
    main()
