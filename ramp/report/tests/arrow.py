"""Compares Arrow files of `ramp export` with the CSV files of the run directories, cell by cell: arrow.py TABLES RUN..."""

import csv
import datetime
import pathlib
import sys

import pyarrow as pa
import pyarrow.feather

tables, runs = pathlib.Path(sys.argv[1]), [pathlib.Path(path) for path in sys.argv[2:]]
context = ["run", "runtime"] + (["block", "cell"] if len(runs) > 1 else [])
times = pa.timestamp("ms", tz="UTC")


def parsed(text, kind):
    if text == "":
        return None
    if kind == pa.int64():
        return int(text)
    if kind == pa.float64():
        return float("inf") if text == "unlimited" else float(text)
    if kind == pa.bool_():
        return {"true": True, "false": False}[text]
    if kind == times:
        time = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        return time.replace(microsecond=time.microsecond // 1000 * 1000)
    assert kind == pa.string(), kind
    return text


compared = 0
for path in sorted(tables.glob("*.arrow")):
    table = pyarrow.feather.read_table(path)
    table.validate(full=True)
    assert table.column_names[: len(context)] == context, table.column_names
    assert table.schema.field("time").type == times
    rows = []
    for run in runs:
        file = run / (path.stem + ".csv")
        rows += csv.DictReader(file.open(newline="")) if file.exists() else []
    assert table.num_rows == len(rows), (path, table.num_rows, len(rows))
    for name in table.column_names[len(context) :]:
        column = table[name]
        for at, (cell, row) in enumerate(zip(column.to_pylist(), rows)):
            expected = parsed((row.get(name) or "").strip(), column.type)
            assert cell == expected, (path, name, at, cell, expected)
            compared += 1
    assert all(table["run"].to_pylist()), path
print(compared)
