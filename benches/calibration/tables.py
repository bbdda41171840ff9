#!/usr/bin/env python3
"""The tables of docs/exactness.md and docs/comparison.md, from what the calibration measured.

    benches/calibration/tables.py [target/calibration.json]                      prints them as Markdown
    benches/calibration/tables.py --update [target/calibration.json]             writes them into these pages

A place is what stands between `<!-- tables.py NAME -->` and `<!-- tables.py end -->`. Figures that the run did not
make (a section that was not chosen, a peer that is not installed) are left out or `-`; none are kept from before.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = ["stress-ng", "stress", "lookbusy"]
WHOLE, HALF, WORST = "whole run, start included", "second half", "worst single second"


def cores(value):
    return f"{value:.4f}"


def seconds(value):
    return f"{value:.3f}" if value < 1 else f"{value:.1f}"


def size(value):
    return f"{value:.0f}"


def signed(value, digits):
    """Never `-0.00`."""
    return f"{round(value, digits) + 0.0:+.{digits}f} %"


def percent(row):
    return signed(row["deviation_percent"], 3)


def roughly(row, value, asked):
    """The same with as many digits as two programs differ by."""
    off = (value / (asked or row["asked"]) - 1) * 100
    return signed(off, 2 if abs(off) < 1 else 1)


def named(row):
    asked = "" if row["asked"] is None else f", asked {row['asked']:g}"
    return f"{row['what'].strip()}{asked}: {row['had']:.6g} {row['unit']}".rstrip()


def bytes_of(row):
    """What was asked, from `500000000 bytes`, as the tables say it."""
    return f"{int(row['what'].split()[0]) / 1e6:.0f} MB"


class Run:
    """The figures of one run."""

    def __init__(self, path):
        data = json.loads(Path(path).read_text())
        self.machine, self.rows = data["machine"], data["rows"]
        self.failures = data.get("failures", [])

    def all(self, section, what=".*", title=".*"):
        return [
            row
            for row in self.rows
            if row["section"] == section and re.search(title, row["title"]) and re.fullmatch(what, row["what"].strip())
        ]

    def one(self, *args, **kwargs):
        return next(iter(self.all(*args, **kwargs)), None)


def table(head, rows):
    rows = [row for row in rows if row]
    if not rows:
        return []
    return ["", line(head), "|" + "---|" * len(head), *map(line, rows)]


def line(cells):
    return re.sub(r"  +\|", " |", "| " + " | ".join(cells) + " |")


def introduction(run):
    machine, kernel = run.machine, run.machine["kernel"].split("-")[0].rsplit(".", 1)[0]
    kind = "virtual CPUs" if machine.get("virtual") else "CPUs"
    versions = [text.replace(", version", "") for text in machine.get("peers", {}).values()]
    text = (
        f"Measured on {machine['time'][:10]} with `cargo bench --bench calibration`: {machine['cpus']} {kind}"
        f" ({machine['cpu']}), Linux {kernel}, load {machine['load_before']} before; {', '.join(versions)}."
    )
    if machine["smoke"]:
        text += " A short run, which says that everything works and not how exact it is."
    bounded = [row for row in run.rows if row["within"] is not None]
    missed = [f"{row['title']}: {named(row)}" for row in bounded if not row["within"]]
    if bounded:
        text += f" {len(bounded) - len(missed)} of {len(bounded)} bounds met."
    return [text, *[f"- missed: {what}" for what in missed], *[f"- failed: {what}" for what in run.failures]]


def exact_cpu(run):
    def exactness(section, title, label):
        for whole in run.all(section, WHOLE, title):
            half, worst = (
                next(row for row in run.all(section, what, title) if row["asked"] == whole["asked"])
                for what in (HALF, WORST)
            )
            yield label, f"{whole['asked']:g}", cores(whole["had"]), percent(whole), percent(half), percent(worst)

    rows = [*exactness("cpu", ".*", "nothing else running"), *exactness("listen", "10 Hz", "`/metrics` read at 10 Hz")]
    for row in run.all("listen", HALF, "silent"):
        rows.append(["its server attacked, second half", f"{row['asked']:g}", cores(row["had"]), percent(row), "", ""])
    return table(["CPU, cores", "requested", "measured", "error", "second half", "worst second"], rows)


def exact_memory(run):
    def held(section, label):
        for row in run.all(section, r"\d+ bytes"):
            yield bytes_of(row) + label, size(row["had"]), f"{row['had'] - row['asked']:+.0f}"

    head = ["resident set when holding", "bytes", "error"]
    return table(head, [*held("resident", ""), *held("listen", ", `/metrics` read at 10 Hz")])


def growth(run):
    rows = []
    rates = run.all("growth", ".*, slope")
    for slope, farthest in zip(rates, run.all("growth", "farthest.*")):
        rate = slope["what"].removesuffix(", slope")
        rows.append([rate, percent(slope), f"{farthest['had'] / 1e6:.2f} MB"])
    return table(["growth", "slope error", "farthest from the line asked for"], rows)


def cost(run):
    def overhead(section, title, label):
        row = run.one(section, "CPU", title)
        resident, anonymous = run.one(section, "resident set", title), run.one(section, "of it anonymous", title)
        if row:
            text = f"{row['had']:.3f} % of a core, {resident['had']:.2f} MB resident, {anonymous['had']:.2f} MB of it anonymous"
            return [label, text]

    def single(section, what, label, unit, digits=1):
        row = run.one(section, what)
        return row and [label, f"{row['had']:.{digits}f} {unit}"]

    return table(
        ["cost", ""],
        [
            overhead("idle", ".*", "doing nothing (`--memory 0 --cpu 0`, a report a second)"),
            overhead("listen", "own overhead", "doing nothing, `/metrics` read at 10 Hz"),
            overhead("node", ".*", "`workload node`, a report a second"),
            single("life", "first report.*", "first report after the start, worst", "ms"),
            single("life", "exit on SIGTERM.*", "exit on SIGTERM with 500 MB held, worst", "ms", 0),
            single("life", "as process 1.*", "the same as process 1", "ms", 0),
            single("listen", r"slowest of .* /metrics", "slowest answer to `/metrics`", "ms"),
            single("listen", r"slowest of .* /readyz", "slowest answer to `/readyz` while attacked", "ms"),
            single("listen", "growth of the resident set", "growth of the resident set while attacked", "bytes", 0),
        ],
    )


def compared(row, label, number=cores, asked=None):
    """A situation, and what each program had in it."""

    def cell(value):
        if value is None:
            return "never"
        off = f" ({roughly(row, value, asked)})" if asked or row["asked"] else ""
        return number(value) + off

    peers = [cell(row["peers"][name]) if name in row["peers"] else "-" for name in PEERS]
    return [label, cell(row["had"]), *peers]


def comparison(run):
    rows = []
    for row in run.all("cpu", f"{HALF}|{WORST}"):
        what = "second half of the run" if row["what"] == HALF else "worst second of it"
        rows.append(compared(row, f"CPU {row['asked']:g}, {what}"))
    rows += [compared(row, f"CPU 0.2 {row['what']}") for row in run.all("busy")]
    rows += [compared(row, "CPU 0.2, stopped for 60 ms of every 100") for row in run.all("frozen")]
    for what, label, asked in [
        ("under the quota", "CPU 0.5 under a quota of 0.2", None),
        ("first second.*", "first second after it is lifted", 0.5),
        ("then", "then", 0.5),
    ]:
        rows += [compared(row, label, asked=asked) for row in run.all("quota", what)]
    for row in run.all("stop", "first second.*"):
        stop = row["title"].removeprefix("CPU after a ")
        rows.append(compared(row, f"CPU 0.2, first second after a {stop}", asked=0.2))
    rows += [compared(row, "then") for row in run.all("stop", "then")]
    rows += [compared(row, "seconds until within 5 % of 0.2", seconds) for row in run.all("stop", "until.*")]
    rows += [compared(row, f"resident set of {bytes_of(row)}, bytes", size) for row in run.all("resident")]
    rows += [compared(row, "CPU seconds to fill 500 MB", seconds) for row in run.all("fill", "CPU time.*")]
    return table(["", "workload", *PEERS], rows) + without(run)


def without(run):
    """Why there is a `-`, once for each peer and reason."""
    reasons = {(name, why) for row in run.rows for name, why in row.get("peers_without_figure", {}).items()}
    text = "; ".join(f"{name} {why}" for name, why in sorted(reasons))
    return ["", f"`-`: {text}."] if text else []


def places(run):
    return {
        "exact": introduction(run) + exact_cpu(run) + exact_memory(run) + growth(run) + cost(run),
        "compare": comparison(run)[1:],
    }


PAGES = {"exact": ROOT / "docs/exactness.md", "compare": ROOT / "docs/comparison.md"}


def update(run):
    for name, lines in places(run).items():
        path = PAGES[name]
        text = path.read_text()
        begin, end = f"<!-- tables.py {name} -->\n", "<!-- tables.py end -->"
        if text.count(begin) != 1:
            sys.exit(f"{path} has no place (or several) marked {begin.strip()}")
        before, after = text.split(begin)
        if end not in after:
            sys.exit(f"{path}: {begin.strip()} has no {end}")
        path.write_text(before + begin + "\n".join(lines) + "\n" + end + after.split(end, 1)[1])


def main(words):
    is_update = words[:1] == ["--update"]
    words = words[is_update:]
    if len(words) > 1 or (words and words[0].startswith("-")):
        sys.exit(__doc__)
    run = Run(words[0] if words else ROOT / "target/calibration.json")
    if is_update:
        update(run)
    else:
        print("\n\n".join("\n".join(lines) for lines in places(run).values()))


main(sys.argv[1:])
