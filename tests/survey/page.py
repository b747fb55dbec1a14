"""Writes docs/own-robots.md from what the survey found."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limbshift.envs.mjcf.families import KINDS
from tests.survey.scenes import PROJECTS

PAGE = Path("docs/own-robots.md")
BEGIN = "<!-- below: written by `python -m tests.survey` -->\n"


def write_page(results: Mapping[str, dict[str, Any]]) -> None:
    """Replaces what stands below the mark on the page."""
    above = PAGE.read_text().partition(BEGIN)[0]
    lines = [
        f"{above}{BEGIN}",
        "| project | version | scenes with actuators | trained on all five | refused | failed |",
    ]
    lines.append("|---|---|---|---|---|---|")
    for project, version in PROJECTS.items():
        found = [each for name, each in results.items() if name.startswith(f"{project}/")]
        whole = [each for each in found if is_whole(each)]
        refused, failed = ([each for each in found if fault in each] for fault in ("refused", "failed"))
        lines.append(f"| {project} | {version} | {len(found)} | {len(whole)} | {len(refused)} | {len(failed)} |")
    lines += ["", "| robot | frame | falls | what is not as with the others |", "|---|---|---|---|"]
    lines += [row(name, found) for name, found in sorted(results.items())]
    PAGE.write_text("\n".join(lines) + "\n")


def is_whole(found: Mapping[str, Any]) -> bool:
    """Returns whether a robot was trained on all families, with numbers that are finite."""
    families = found.get("families", {})
    return len(families) == len(KINDS) and all(each.get("finite") for each in families.values())


def row(name: str, found: Mapping[str, Any]) -> str:
    """Returns a robot's row of the table."""
    for fault in ("failed", "refused"):
        if fault in found:
            return f"| {name} | | | {fault}: {shown(found[fault])} |"
    families, notes = found["families"], []
    falls = max((each["falls"] for each in families.values() if "falls" in each), default=0.0)
    if any(each.get("diverges") for each in families.values()):
        notes.append("diverges under random actions")
    for kind, each in families.items():
        if "refused" in each:
            notes.append(f"{kind} refused: {shown(each['refused'])}")
            continue
        if each["inert"]:
            some = ", ".join(each["inert"][:3]) + (" and others" if len(each["inert"]) > 3 else "")
            notes.append(f"{kind}: {len(each['inert'])} of {each['parameters']} without effect so far ({some})")
        if not each["finite"]:
            notes.append(f"{kind}: numbers that are not finite")
    return f"| {name} | {found['frame']:.0%} | {falls:.0%} | {'; '.join(notes)} |"


def shown(reason: str) -> str:
    """Returns a reason without the folders of this machine."""
    words = (Path(word).name if word.startswith("/") or ".cache/" in word else word for word in reason.split())
    return " ".join(words).replace("|", "/")
