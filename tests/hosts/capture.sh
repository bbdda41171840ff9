#!/bin/sh
# Copies what the kernel tells the calling process of its limits into a directory, laid out as below /:
#
#   capture.sh DIRECTORY
#
# Needs no more than busybox. A file that is not there, or cannot be read, is not there in the copy either.
# Of mountinfo only the lines of cgroup, proc and sysfs mounts are kept, and of tmpfs those that hold cgroup mounts.
set -u

[ $# -eq 1 ] || { echo "usage: capture.sh DIRECTORY" >&2; exit 2; }
out=$1
mkdir -p "$out" || exit 1
self=/proc/$$

# put COPY: standard input becomes the file of that name.
put() {
    mkdir -p "$out${1%/*}" && cat >"$out$1"
}

# copy FILE [COPY]: one file, under another name if given.
copy() {
    [ -f "$1" ] || return 0
    if text=$(cat "$1" 2>/dev/null && echo .); then
        printf '%s' "${text%.}" | put "${2:-$1}"
    fi
}

# copy_together FILE FILE: two files of a number each, read as nearly at once as can be: their difference tells.
copy_together() {
    [ -f "$1" ] && [ -f "$2" ] && numbers=$(cat "$1" "$2" 2>/dev/null) || return 0
    printf '%s\n' "${numbers%%[!0-9]*}" | put "$1"
    printf '%s\n' "${numbers##*[!0-9]}" | put "$2"
}

# The text of a field of mountinfo: its octal escapes undone.
unescape() {
    printf '%b.' "$(printf '%s' "$1" | sed 's/\\\([0-7][0-7][0-7]\)/\\0\1/g')"
}

# copy_levels POINT INSIDE FILE...: the files of the cgroup INSIDE below a mount point, and of those around it.
copy_levels() {
    point=$1 inside=$2
    shift 2
    while :; do
        for file; do copy "$point${inside:+/$inside}/$file"; done
        together=$point${inside:+/$inside}/memory
        copy_together "$together.usage_in_bytes" "$together.memsw.usage_in_bytes"
        # A cgroup without any of the files is there all the same.
        [ ! -d "$point${inside:+/$inside}" ] || mkdir -p "$out$point${inside:+/$inside}"
        case $inside in
            '') break ;;
            */*) inside=${inside%/*} ;;
            *) inside= ;;
        esac
    done
}

memory_v2='memory.max memory.high memory.low memory.min memory.current memory.peak memory.events
    memory.events.local memory.stat memory.swap.max memory.swap.current memory.swap.events memory.pressure'
cpu_v2='cpu.max cpu.stat cpu.weight cpu.pressure io.pressure cpuset.cpus cpuset.cpus.effective'
memory_v1='memory.limit_in_bytes memory.soft_limit_in_bytes memory.usage_in_bytes memory.max_usage_in_bytes
    memory.failcnt memory.oom_control memory.memsw.limit_in_bytes memory.memsw.usage_in_bytes
    memory.memsw.max_usage_in_bytes memory.stat memory.use_hierarchy'
# Only the root of a hierarchy has it.
root_v1=release_agent
cpu_v1='cpu.cfs_quota_us cpu.cfs_period_us cpu.stat cpu.shares'
cpuset_v1='cpuset.cpus cpuset.effective_cpus'

# capture_mount ROOT POINT CONTROLLERS: ROOT and POINT as mountinfo has them; no controllers for version 2.
capture_mount() {
    root=$(unescape "$1") root=${root%.}
    mounted=$(unescape "$2") mounted=${mounted%.}
    if [ -z "$3" ]; then
        own=$(sed -n 's/^[0-9]*:://p' "$self/cgroup")
        files="$memory_v2 $cpu_v2 cgroup.controllers cgroup.type"
    else
        own=$(sed -n "s/^[0-9]*:\\([^:]*,\\)*$3\\(,[^:]*\\)*://p" "$self/cgroup")
        files="$memory_v1 $cpu_v1 $cpuset_v1 $root_v1"
    fi
    [ -n "$own" ] || return 0
    case $own/ in
        "${root%/}"/*) below=${own#"${root%/}"} below=${below#/} ;;
        # It shows other cgroups than ours: what it shows is kept, to prove that nobody takes it for ours.
        *) below= ;;
    esac
    case /$below/ in
        */../*) below= ;;
    esac
    # shellcheck disable=SC2086 # a list of names
    copy_levels "$mounted" "$below" $files
}

for file in cgroup status smaps_rollup; do copy "$self/$file" "/proc/self/$file"; done
for file in meminfo vmstat loadavg pressure/cpu pressure/memory pressure/io \
    sys/kernel/random/boot_id sys/kernel/osrelease; do
    copy "/proc/$file"
done
sed 's/^\(intr [0-9]* [0-9]* [0-9]*\) .*/\1/' /proc/stat | put /proc/stat
for file in run pages_shared pages_sharing pages_unshared pages_volatile full_scans; do
    copy "/sys/kernel/mm/ksm/$file"
done

mountinfo=$(awk '
    { type = ""; for (i = 7; i < NF; i++) if ($i == "-") { type = $(i + 1); break } }
    pass == 1 { if (type ~ /^cgroup2?$/) held[$5 "/"] = 1; next }
    type ~ /^(cgroup2?|proc|sysfs)$/ { print; next }
    type == "tmpfs" { for (point in held) if (index(point, $5 "/") == 1) { print; next } }
' pass=1 "$self/mountinfo" pass=2 "$self/mountinfo")
printf '%s\n' "$mountinfo" | put /proc/self/mountinfo

# Root, point and controllers that matter of every cgroup mount; backslashes stay as they are.
printf '%s\n' "$mountinfo" | awk '
    { for (i = 7; i < NF; i++) if ($i == "-") break }
    $(i + 1) == "cgroup2" { print $4, $5, "" }
    $(i + 1) == "cgroup" {
        n = split($NF, option, ",")
        for (o = 1; o <= n; o++) if (option[o] ~ /^(memory|cpu|cpuset)$/) { print $4, $5, option[o]; break }
    }
' | while read -r root point controllers; do capture_mount "$root" "$point" "$controllers"; done
