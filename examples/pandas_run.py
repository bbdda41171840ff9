"""What an instance costs, read from a run directory with pandas: python3 pandas_run.py RUN

Prints the naive marginal cost: the slope of the memory that is not available on the nodes over the instances that hold theirs, on the way
up. It has no interval, and takes drift and what others use for the instances': `ramp report RUN` has the figure to be quoted. Where
matplotlib is installed, held.png shows the instances held over time.
"""

import json
import pathlib
import sys

import pandas as pd

run = pathlib.Path(sys.argv[1])
plan = json.loads((run / "run.json").read_text())["plan"]
steps = pd.read_csv(run / "steps.csv", parse_dates=["time"])

# Sums of memory are empty unless the sample of every kernel is fresh; other states than ready cost something, too.
up = steps[(steps["part"] == "up") & (steps["ready_instances"] == steps["asked_instances"])]
up = up.dropna(subset=["memory_available_bytes"])
used = up["memory_total_bytes"] - up["memory_available_bytes"]
held = up["ready_instances"]
slope = held.cov(used) / held.var()

print(f"run {plan['run']}: {len(steps)} steps, at most {steps['ready_instances'].max()} instances held")
print(f"marginal cost: {slope / 1e6:.1f} MB an instance")

try:
    import matplotlib
except ImportError:
    sys.exit()
matplotlib.use("Agg")
axes = steps.plot(x="elapsed_seconds", y=["asked_instances", "ready_instances"], drawstyle="steps-post")
axes.set(xlabel="time (s)", ylabel="instances", title=f"run {plan['run']}")
axes.figure.savefig("held.png")
