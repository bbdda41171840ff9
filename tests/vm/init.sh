#!/bin/busybox sh
# shellcheck shell=dash
# Process 1 of the guest: plays every scenario and sends what came of it over the second serial line, file by
# file. What it means is judged outside.

/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /sys /dev /etc /out
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# Not tmpfs, which counts as committed memory.
mount -t ramfs ramfs /out
echo 'nobody:x:65534:65534::/:/bin/sh' >/etc/passwd

cgroups=/sys/fs/cgroup
out=/out
export WORKLOAD_FORMAT=json WORKLOAD_REPORT_EVERY=200ms WORKLOAD_GROWTH_RATE=instant

# group NAME FILE=VALUE...: makes a cgroup with these settings. Each may have cgroups within.
group() {
  echo '+memory +cpu +cpuset' >"$(dirname "$cgroups/$1")/cgroup.subtree_control"
  mkdir "$cgroups/$1"
  for setting in "$@"; do
    case $setting in
      *=*) echo "${setting#*=}" >"$cgroups/$1/${setting%%=*}" ;;
    esac
  done
}

# run NAME CGROUP COMMAND...: to its end in this cgroup. Reports, messages, exit status and the times of its begin
# and end are files of this name. As in a container, reports go into a pipe.
run() {
  name=$1 group=$2
  shift 2
  {
    cut -d ' ' -f 1 /proc/uptime >"$out/$name.times"
    (
      # Zero is the process that writes it.
      echo 0 >"$cgroups/$group/cgroup.procs"
      exec "$@" 2>"$out/$name.messages"
    )
    echo $? >"$out/$name.status"
    cut -d ' ' -f 1 /proc/uptime >>"$out/$name.times"
  } | cat >"$out/$name.reports"
}

# keep NAME CGROUP FILE: what a cgroup's file says now.
keep() {
  cat "$cgroups/$2/$3" >"$out/$1.$3"
}

# run_below NAME CGROUP COMMAND...: the same, where nothing above this cgroup can be seen.
run_below() {
  below=$1 hidden=$2
  shift 2
  # shellcheck disable=SC2016 # for the inner shell
  run "$below" "$hidden" unshare -m sh -c 'mount --bind "$0" /sys/fs/cgroup && exec "$@"' "$cgroups/$hidden" "$@"
}

# until_holding NAME...: waits until the last report of each of these runs says so, for at most a minute.
until_holding() {
  for waited_for in "$@"; do
    tries=0
    until tail -n 1 "$out/$waited_for.reports" | grep -q '"phase":"holding"' || [ $((tries += 1)) -gt 120 ]; do
      sleep 0.5
    done
  done
}

# stop CGROUP...: what runs in these cgroups is asked to end.
stop() {
  for stopped in "$@"; do
    xargs kill -TERM <"$cgroups/$stopped/cgroup.procs"
  done
}

# The number of reports so far goes before each change, so that it is known which came after it.
change_limits() {
  for name in memory_share cpu_share; do
    wc -l <"$out/$name.reports" >>"$out/$name.changes"
  done
  echo "$1" >"$cgroups/memory_share/memory.max"
  echo "$2" >"$cgroups/cpu_share/cpu.max"
}

set_clock() {
  date -s "@$1" >/dev/null
}

first_act() {
  group outer memory.max=256M memory.high=200M 'cpu.max=30000 100000' cpuset.cpus=1
  group outer/inner memory.max=400M memory.high=300M 'cpu.max=80000 100000'
  run limits outer/inner /workload --memory 5M --cpu 0.1 --duration 3s &

  group throttled 'cpu.max=20000 100000'
  run throttled throttled /workload --cpu 0.5 --duration 16s &

  group resident
  run resident resident /workload --memory 40M &

  group memory_share memory.max=64M
  run memory_share memory_share /workload --memory 50% --fill unique &
  group cpu_share 'cpu.max=40000 100000'
  run cpu_share cpu_share /workload --cpu 50% &

  group clock
  run clock clock /workload --cpu 0.3 --duration 9s &

  sleep 4
  now=$(date +%s)
  set_clock $((now + 18000))
  sleep 3
  set_clock $((now - 18000))

  # On a slow machine memory is held long after the others have ended.
  until_holding resident memory_share cpu_share
  for limits in '96M 80000' '64M 40000'; do
    change_limits "${limits% *}" "${limits#* } 100000"
    sleep 5
    until_holding memory_share
  done
  stop resident memory_share cpu_share
  wait
  keep throttled throttled cpu.stat
}

second_act() {
  group oom
  group oom/max memory.max=64M
  group oom/below memory.max=55000000
  group oom/above memory.max=62500000
  run oom_max oom/max /workload --memory max --growth-rate 30M/s --fill unique &
  run oom_below oom/below /workload --memory 62M --fill unique --duration 60s &
  run oom_above oom/above /workload --memory 62M --fill unique &

  group hidden memory.max=48M 'cpu.max=50000 100000'
  group hidden/max
  group hidden/share
  run_below hidden_max hidden/max /workload --memory max --fill unique
  run_below hidden_share hidden/share /workload --memory 5% --cpu 10% --fill unique --duration 1s &

  for high in 8M 16M 32M; do
    group high_$high memory.high=$high
    # A limit to how late it may end: what comes later needs its memory.
    run high_$high high_$high timeout -s KILL 16 /workload --memory 48M --fill unique --duration 8s &
  done

  until_holding oom_above
  stop oom/above
  wait
  keep oom oom memory.events
}

# No other process may be about: the limit on commitments is everybody's, and so is the machine's memory.
third_act() {
  committed=$(awk '/^Committed_AS:/ { print $2 }' /proc/meminfo)
  group overcommit
  echo $((committed + 40000)) >/proc/sys/vm/overcommit_kbytes
  echo 2 >/proc/sys/vm/overcommit_memory
  run overcommit overcommit /workload --memory 100M --fill unique --duration 4s
  echo 0 >/proc/sys/vm/overcommit_memory
  echo 50 >/proc/sys/vm/overcommit_ratio

  group machine
  run machine machine /workload --memory max --fill unique
}

fourth_act() {
  mkswap /dev/nvme0n1 >/dev/null
  swapon /dev/nvme0n1
  group swap memory.high=24M
  group node
  run node_before node timeout -s TERM 2 /workload node
  run swap swap /workload --memory 48M --fill unique &
  mount -o remount,hidepid=2 /proc
  group single cpuset.cpus=0
  run single single su -s /bin/sh nobody -c 'exec /workload --memory 10M --fill unique --cpu 1.5 --duration 6s' &
  until_holding swap
  run node_swapping node timeout -s TERM 3 /workload node
  stop swap
  wait
  mount -o remount,hidepid=0 /proc
}

first_act
second_act
third_act
fourth_act
for file in "$out"/*; do
  printf '\n--- %s\n' "${file##*/}"
  cat "$file"
done >/dev/ttyS1
reboot -f
