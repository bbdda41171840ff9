#!/usr/bin/env bash
# Ramps a scenario under several runtimes, one after the other, and compares them. See --help.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: deploy/ramp.sh [--interleave] [--out DIR] SCENARIO [RUNTIME...] [-- OPTION...]

Fills the cluster of the current kubectl (or oc) context with pods of a scenario, one more with each step, until past
saturation, once under each runtime. Records each run and reports on all of them (ramp report, in DIR-report/report.html).

  SCENARIO      the name of a file in deploy/runc, without .yaml: memory-capacity, memory-hungry, cpu-50, ...
  RUNTIME       runc, kata, or the name of any other RuntimeClass [default: runc kata]
  --interleave  run A B B A instead of A B, so that drift of the cluster can be told from a difference between runtimes
  --out DIR     record the runs in DIR, each in a directory of its own [default: runs]
  OPTION        passed to ramp run: --to 500 --pace 5s --beyond 50 --down --memory 100M --label rack=7 ... (ramp run --help)

Applies deploy/setup (namespace, priority classes, RBAC, node probe) and does not remove it. Everything that a run creates is
removed when the run ends, even if it fails. Environment variable RAMP: the ramp program [default: ramp, else cargo run].

Examples:
  deploy/ramp.sh memory-capacity
  deploy/ramp.sh --interleave memory-capacity runc kata -- --to 300 --label cluster=lab
TEXT
}

fail() { echo "ramp.sh: $*" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
interleave=no out=runs words=() options=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit ;;
    --interleave) interleave=yes ;;
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

current=
clean() {
  # ramp cleans up by itself on SIGINT and SIGTERM; this is for when it was killed.
  if [ -n "$current" ]; then "${ramp[@]}" clean "$current" || true; fi
}
trap clean EXIT
trap 'exit 130' INT TERM

order=("${runtimes[@]}")
if [ $interleave = yes ]; then
  for ((i = ${#runtimes[@]} - 1; i >= 0; i--)); do order+=("${runtimes[i]}"); done
fi

directories=() number=0
mkdir -p "$out"
for runtime in "${order[@]}"; do
  number=$((number + 1))
  directory=$out/$scenario-$number-$runtime-$(date -u +%Y%m%d-%H%M%S)
  manifest=$here/$runtime/$scenario.yaml which=()
  [ -e "$manifest" ] || { manifest=$here/runc/$scenario.yaml; which=(--runtime "$runtime"); }
  echo "run $number of ${#order[@]}: $scenario under $runtime, recorded in $directory"
  current=$directory
  "${ramp[@]}" run "$manifest" --engine kubernetes --out "$directory" "${which[@]}" "${options[@]}"
  current=
  directories+=("$directory")
done

# Not inside DIR, so that DIR/* matches runs only.
"${ramp[@]}" report --out "${out%/}-report" "${directories[@]}"
echo "recorded: ${directories[*]}"
