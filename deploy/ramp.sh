#!/usr/bin/env bash
# Runs a scenario under several runtimes as a study, and reports on its runs. See --help.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: deploy/ramp.sh [--interleave] [--out DIR] SCENARIO [RUNTIME...] [-- OPTION...]

Fills the cluster of the current kubectl (or oc) context with pods of a scenario, one more with each step, until past
saturation, once under each runtime, by ramp study. Records each run and reports on all of them (ramp report, in
DIR-report/report.html). For more runs, sizes or a precision write a study file of your own: ramp study init.

  SCENARIO      the name of a file in deploy/runc, without .yaml: memory-capacity, memory-hungry, cpu-50, ...
  RUNTIME       runc (no RuntimeClass), kata, or the name of any other RuntimeClass [default: runc kata]
  --interleave  run A B B A instead of A B, so that drift of the cluster can be told from a difference between runtimes
  --out DIR     study directory to create; its runs are in DIR/runs [default: SCENARIO-TIME]
  OPTION        of ramp run: --from --to --step --pace --step-timeout --settle --hold --beyond --stop --note --label
                --memory --namespace --context (ramp run --help)

Applies deploy/setup (namespace, priority classes, RBAC, node probe) and does not remove it. Everything that a run creates is
removed when the run ends, even if it fails. Interrupted, it goes on with: ramp study run --resume DIR. Environment variable
RAMP: the ramp program [default: ramp, else cargo run].

Examples:
  deploy/ramp.sh memory-capacity
  deploy/ramp.sh --interleave memory-capacity runc kata -- --to 300 --label cluster=lab
TEXT
}

fail() { echo "ramp.sh: $*" >&2; exit 2; }
# A text of YAML.
quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }
joined() { local IFS=,; echo "$*"; }

here=$(cd "$(dirname "$0")" && pwd)
blocks=1 out='' words=() options=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit ;;
    --interleave) blocks=2 ;;
    --out) [ $# -gt 1 ] || fail "--out: expected a directory"; out=$2; shift ;;
    --) shift; options=("$@"); break ;;
    -*) fail "unknown option $1 (options for ramp run go after --; see --help)" ;;
    *) words+=("$1") ;;
  esac
  shift
done
[ ${#words[@]} -gt 0 ] || { usage >&2; exit 2; }
scenario=${words[0]} runtimes=("${words[@]:1}")
[ ${#runtimes[@]} -gt 0 ] || runtimes=(runc kata)
[ -e "$here/runc/$scenario.yaml" ] ||
  fail "no scenario $scenario; expected one of: $(cd "$here/runc" && for file in *-*.yaml; do echo -n "${file%.yaml} "; done)"
[ -n "$out" ] || out=$scenario-$(date -u +%Y%m%d-%H%M%S)

# The study file: keys of the study, of how its runs scale up, and its labels.
study=() scaling=() stop=() note=() labels=()
set -- ${options[@]+"${options[@]}"}
while [ $# -gt 0 ]; do
  case $1 in
    --*=*) option=${1%%=*} value=${1#*=} ;;
    *) option=$1 value=${2-} ;;
  esac
  key=${option#--} key=${key//-/_}
  case $option in
    --from | --to | --step | --beyond) scaling+=("  $key: $value") ;;
    --pace | --step-timeout | --settle | --hold) scaling+=("  $key: $(quoted "$value")") ;;
    --stop) stop+=("$(quoted "$value")") ;;
    --note) note+=("$(quoted "$value")") ;;
    --label) labels+=("  $(quoted "${value%%=*}"): $(quoted "${value#*=}")") ;;
    --memory) study+=("sizes: [{memory: $(quoted "$value")}]") ;;
    --namespace | --context) study+=("$key: $(quoted "$value")") ;;
    *) fail "$option is not an option of ramp run that a study has (see --help; for others: ramp study init)" ;;
  esac
  case $1 in
    --*=*) shift ;;
    *) [ $# -gt 1 ] || fail "$1: expected a value (see --help)"; shift 2 ;;
  esac
done
names=()
for runtime in "${runtimes[@]}"; do
  [ "$runtime" = runc ] && runtime=default
  names+=("$(quoted "$runtime")")
done
[ ${#stop[@]} -eq 0 ] || scaling+=("  stop: [$(joined "${stop[@]}")]")
[ ${#note[@]} -eq 0 ] || scaling+=("  note: [$(joined "${note[@]}")]")

if command -v kubectl >/dev/null; then kubectl=kubectl
elif command -v oc >/dev/null; then kubectl=oc
else fail "neither kubectl nor oc is installed"; fi
"$kubectl" version --request-timeout 10s >/dev/null 2>&1 || fail "cannot reach the cluster: see $kubectl version"

if [ -n "${RAMP:-}" ]; then ramp=("$RAMP")
elif command -v ramp >/dev/null; then ramp=(ramp)
else
  cargo build --quiet --release --manifest-path "$here/../Cargo.toml" -p ramp
  ramp=(cargo run --quiet --release --manifest-path "$here/../Cargo.toml" -p ramp --)
fi

echo "applying deploy/setup: namespace, priority classes, RBAC, node probe"
"$kubectl" apply -k "$here/setup" >/dev/null
"$kubectl" --namespace workload rollout status daemonset/node-probe --timeout 120s >/dev/null

file=$(mktemp)
clean() {
  rm -f "$file"
  # ramp cleans up by itself on SIGINT and SIGTERM; this is for when it was killed.
  for run in "$out"/runs/*/; do
    if grep -qs '"end": *null' "$run/run.json"; then "${ramp[@]}" clean "$run" || true; fi
  done
}
trap clean EXIT
trap 'exit 130' INT TERM

{
  printf '%s\n' "name: $(quoted "$scenario")" "engine: kubernetes" "runtimes: [$(joined "${names[@]}")]" \
    "scenarios: [{manifest: $(quoted "$here/runc/$scenario.yaml")}]" "blocks: $blocks" "order: balanced" "warmup: false"
  printf '%s\n' ${study[@]+"${study[@]}"} "ramp:" ${scaling[@]+"${scaling[@]}"}
  [ ${#labels[@]} -eq 0 ] || printf '%s\n' "labels:" "${labels[@]}"
} >"$file"
[ ${#scaling[@]} -gt 0 ] || sed -i '/^ramp:$/d' "$file"
# Of one or two blocks the report on all of the runs says more than that of the study.
"${ramp[@]}" study run "$file" --out "$out" --no-report

"${ramp[@]}" report --out "${out%/}-report" "$out"/runs/block-*
echo "recorded: $out"
