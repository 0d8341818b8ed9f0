"""The result as a page: what was measured, how, medians with ranges, and paired ratios."""

import datetime
import os
import platform
import statistics
import subprocess
from pathlib import Path

LABELS = {
    "indicia": "Indicia, unsigned", "indicia-dkim": "Indicia, DKIM",
    "postfix": "Postfix, Debian's defaults", "postfix-tuned": "Postfix, tuned",
    "postfix-dkim": "Postfix + OpenDKIM, defaults", "postfix-tuned-dkim": "Postfix + OpenDKIM, tuned",
}
PAIRS = [("indicia", "postfix"), ("indicia", "postfix-tuned"), ("indicia-dkim", "postfix-dkim"),
         ("indicia-dkim", "postfix-tuned-dkim"), ("indicia-dkim", "postfix")]
COLUMNS = [("accepted/s", "accepted_per_s", "{:.0f}"), ("end to end/s", "end_to_end_per_s", "{:.0f}"),
           ("CPU s per 1,000", "cpu_s_per_1000", "{:.2f}"), ("peak PSS MB", "peak_pss_mb", "{:.0f}"),
           ("p50 ms", "p50_ms", "{:.1f}"), ("p99 ms", "p99_ms", "{:.1f}")]


def spread(values: list[float], shape: str) -> str:
    low, high = min(values), max(values)
    middle = shape.format(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({shape.format(low)}-{shape.format(high)})"


def machine() -> str:
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown CPU")
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({model}), {memory_gib:.0f} GiB, Linux {platform.release()}"


def revision(root: Path) -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True)
    return done.stdout.strip() or "uncommitted"


def render(runs: list[dict], options, versions: list[str], root: Path) -> str:
    lines = [
        "# Results", "",
        f"Measured {datetime.date.today()} by `bench/run` on {machine()}; {', '.join(versions)}; "
        f"revision {revision(root)}.", "",
        f"{options.connections} kept-alive connections, one recipient a message, {options.rounds} rounds, servers in "
        "turns in shuffled order within each round, a fresh store or spool and fresh processes for every run. "
        "Load, server and sink share the machine, all on loopback. Medians (lowest-highest). Indicia's figures "
        "include quota, charge and the commit to stable storage before each 250. How: [README](README.md).", "",
    ]
    for size in options.sizes_kb:
        of_size = [run for run in runs if run["size_kb"] == size]
        if not of_size:
            continue
        lines += [f"## {size} KB, {of_size[0]['messages']:,} messages a run", "",
                  "| server | " + " | ".join(title for title, _, _ in COLUMNS) + " |",
                  "|---|" + "---|" * len(COLUMNS)]
        for variant, label in LABELS.items():
            mine = [run for run in of_size if run["variant"] == variant]
            if mine:
                cells = [spread([run[key] for run in mine], shape) for _, key, shape in COLUMNS]
                lines.append(f"| {label} | " + " | ".join(cells) + " |")
        lines += ["", *_ratios(of_size), ""]
    return "\n".join(lines)


def _ratios(runs: list[dict]) -> list[str]:
    lines = ["| paired ratio, same round | accepted | end to end | CPU per message |", "|---|---|---|---|"]
    for ours, theirs in PAIRS:
        rounds = sorted({run["round"] for run in runs})
        pairs = []
        for number in rounds:
            found = {run["variant"]: run for run in runs if run["round"] == number}
            if ours in found and theirs in found:
                pairs.append((found[ours], found[theirs]))
        if pairs:
            cells = []
            for key in ("accepted_per_s", "end_to_end_per_s", "cpu_s_per_1000"):
                cells.append("x" + spread([a[key] / b[key] for a, b in pairs], "{:.2f}"))
            lines.append(f"| {LABELS[ours]} : {LABELS[theirs]} | " + " | ".join(cells) + " |")
    return lines if len(lines) > 2 else []
