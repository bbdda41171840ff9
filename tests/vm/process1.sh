#!/bin/busybox sh
# shellcheck shell=dash
# Becomes the program, with nothing mounted, and lets a child of it ask it to end.
/bin/busybox mknod /dev/null c 1 3
(
  /bin/busybox sleep 6
  /bin/busybox kill -TERM 1
) &
exec /workload --memory 20M --growth-rate instant --cpu 0.2 --format json --report-every 500ms
