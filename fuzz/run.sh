#!/usr/bin/env bash
# Runs every fuzz target so many times (default 100000), from the words and files they are made for. Needs a C++ compiler for
# libFuzzer; the stable compiler of Rust is enough, as no sanitizer is used (there is no unsafe code in what is fuzzed).
# FUZZ_TARGETS chooses some of them. A run directory is read and reported each time, which takes milliseconds: a twenty-fifth of the runs.
set -euo pipefail
cd "$(dirname "$0")"
runs=${1:-100000}

seed() { mkdir -p "corpus/$1" && cat >"corpus/$1/$2"; }

number=0
for word in 500M 500Mi 1.5Gi 1e3 0 max 80% 12.5% 0.2 200m 1.5 instant 10M/s 25Mi/s 1s 500ms '1h 30m' never 18446744073709551615 -1; do
  number=$((number + 1))
  printf '%s' "$word" | seed quantity "word-$number"
done
for host in ../tests/hosts/*/; do
  name=$(basename "$host")
  { cat "$host/proc/self/cgroup" && printf '\0' && cat "$host/proc/self/mountinfo"; } 2>/dev/null | seed cgroup "$name"
done
number=0
while IFS= read -r -d '' file; do
  number=$((number + 1))
  { printf 'oom_kill\0' && head -c 600 "$file"; } | seed kernel_files "file-$number"
done < <(find ../tests/hosts/v1-nested ../tests/hosts/v2-nested -type f ! -name expected.json -print0)
for manifest in ../deploy/runc/*.yaml; do
  name=$(basename "$manifest")
  seed manifest "$name" <"$manifest"
done
number=0
# shellcheck disable=SC2016 # References are the manifest's.
for container in \
  'args: [--memory, $(A), --cpu=$(B)], env: [{name: A, value: 5M}, {name: B, valueFrom: {secretKeyRef: {name: s, key: k}}}]' \
  'env: [{name: WORKLOAD_MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory}}}], resources: {limits: {memory: 1e9}}' \
  'envFrom: [{prefix: P_, configMapRef: {name: c}}], command: [workload, --memory, 80%], resources: {requests: {cpu: 1n}}'; do
  number=$((number + 1))
  printf '{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [%s]}}}}\n' \
    "{name: workload, image: w, $container}" | seed manifest "container-$number"
done
for path in /metrics /readyz '/healthz?a=b' /; do
  printf '~GET %s HTTP/1.1\r\nHost: pod:8080\r\nAccept: */*\r\n\r\n' "$path" | seed request "get-${path//\//-}"
done

# Changes of a run directory, eight bytes each: what, in which file, where (two numbers), in which other file, with what.
number=0
for change in '\0\3\220\1\0\0\0\0' '\1\2\50\0\0\0\0-' '\2\4\24\0\0\0\0"' '\3\1\100\0\200\0\0\0' '\4\3\2\0\0\0\0\0' '\5\3\2\0\5\0\0\0' \
  '\6\4\1\0\7\0\0\0' '\7\2\3\0\0\0\3\0'; do
  number=$((number + 1))
  printf '%b' "$change" | seed run_directory "change-$number"
done

# The instrumentation that libFuzzer is guided by.
coverage="-Cpasses=sancov-module -Ccodegen-units=1 --cfg fuzzing"
for argument in level=4 inline-8bit-counters pc-table trace-compares stack-depth; do
  coverage+=" -Cllvm-args=-sanitizer-coverage-$argument"
done
RUSTFLAGS=$coverage cargo build --quiet --locked --release --bins --target-dir target
log=$(mktemp)
# In memory where the machine has such a file system.
[ ! -d /dev/shm ] || export TMPDIR=/dev/shm
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$log" "$TMPDIR"' EXIT
programs=(target/*/release)

for target in ${FUZZ_TARGETS:-quantity cgroup kernel_files request manifest run_directory}; do
  wanted=$runs
  [ "$target" != run_directory ] || wanted=$((runs / 25))
  echo "== $target, $wanted runs"
  mkdir -p "corpus/$target" "artifacts/$target"
  "${programs[0]}/$target" -artifact_prefix="artifacts/$target/" -runs="$wanted" -max_len=700 -print_final_stats=1 -verbosity=0 \
    "corpus/$target" >"$log" 2>&1 || { cat "$log"; exit 1; }
  grep -E 'stat::(number_of_executed_units|average_exec_per_sec)' "$log"
done
