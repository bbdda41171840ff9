#!/usr/bin/env bash
# The ramp of a scenario under one runtime after the other, as the study's users look for it. See --help.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: deploy/ramp.sh [--interleave] [--out DIR] SCENARIO [RUNTIME...] [-- OPTION...]

Fills the cluster that kubectl (or oc) is pointed at with pods of a scenario, one more with each step, past saturation,
once under each runtime, records everything, and reports on it (ramp report; its page is DIR-report/report.html).

  SCENARIO      a file of deploy/runc without .yaml: memory-capacity, memory-hungry, memory-restricted, cpu-50, ...
  RUNTIME       runc, kata, or the name of any other RuntimeClass [default: runc kata]
  --interleave  A B B A instead of A B, so that what drifts on the cluster meanwhile can be told from the runtime
  --out DIR     where the runs are recorded, each in a directory of its own [default: runs]
  OPTION        for ramp run: --to 500 --pace 5s --beyond 50 --down --memory 100M --label rack=7 ... (ramp run --help)

Sets up the namespace, the rights and the node probe (deploy/setup), and leaves them. Everything that a run makes is removed
when it ends, whatever ended it. RAMP names the program [default: ramp, else cargo run].

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
    --out) [ $# -gt 1 ] || fail "--out: a directory is expected"; out=$2; shift ;;
    --) shift; options=("$@"); break ;;
    -*) fail "unknown option $1 (those of ramp follow --; see --help)" ;;
    *) words+=("$1") ;;
  esac
  shift
done
[ ${#words[@]} -gt 0 ] || { usage >&2; exit 2; }
scenario=${words[0]} runtimes=("${words[@]:1}")
[ ${#runtimes[@]} -gt 0 ] || runtimes=(runc kata)
[ -e "$here/runc/$scenario.yaml" ] ||
  fail "no scenario $scenario; there are: $(cd "$here/runc" && for file in *-*.yaml; do echo -n "${file%.yaml} "; done)"

if command -v kubectl >/dev/null; then kubectl=kubectl
elif command -v oc >/dev/null; then kubectl=oc
else fail "neither kubectl nor oc is installed"; fi
"$kubectl" version --request-timeout 10s >/dev/null 2>&1 || fail "$kubectl reaches no cluster: $kubectl version says why"

if [ -n "${RAMP:-}" ]; then ramp=("$RAMP")
elif command -v ramp >/dev/null; then ramp=(ramp)
else
  cargo build --quiet --release --manifest-path "$here/../Cargo.toml" -p ramp
  ramp=(cargo run --quiet --release --manifest-path "$here/../Cargo.toml" -p ramp --)
fi

echo "setting up the namespace, the rights and the node probe"
"$kubectl" apply -k "$here/setup" >/dev/null
"$kubectl" --namespace workload rollout status daemonset/node-probe --timeout 120s >/dev/null

current=
clean() {
  # What ramp removes by itself when it is asked to end; this is for when it could not.
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

# Beside the runs, so that ramp report DIR/* finds nothing but runs.
"${ramp[@]}" report --out "${out%/}-report" "${directories[@]}"
echo "recorded: ${directories[*]}"
