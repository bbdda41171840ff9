"""What Helm makes of a chart: chart.py CHART VALUES_IN_JSON prints YAML documents. By helm-python-sdk from PyPI, which has Helm itself."""

import json
import sys

import helm_python as helm

path, values = sys.argv[1], json.loads(sys.argv[2])
found = helm.lint(path)
# 1 is what Helm would like to have, such as an icon.
problems = [message["error"] for message in found["messages"] if message["severity"] > 1] + found["errors"]
if problems:
    sys.exit("\n".join(problems))
try:
    with helm.Chart.load(path) as chart:
        chart.validate_schema(values)
        rendered = chart.render(values, name="ramp", namespace="default")
except helm.HelmError as error:
    sys.exit(str(error))
for name, text in rendered.items():
    if name.endswith(".yaml") and text.strip():
        print("---")
        print(text)
