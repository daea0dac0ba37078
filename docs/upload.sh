#!/bin/sh
# Upload one recording with nothing but mosquitto_pub and coreutils, and wait for its receipt.
#
#   docs/upload.sh FILE DEVICE [mosquitto options: -h HOST -p PORT --cafile … --cert … --key …]
#
# Everything is published one behind the other, fin included: the gateway takes fin up behind the segments.
# An upload that is cut short may simply be run again: what is durable already passes as a repeat.
# SEGMENT is the size of a segment in bytes, PATIENCE how many seconds to wait for the receipt.
set -eu
file=$1 device=$2
shift 2
segment=${SEGMENT:-262144} patience=${PATIENCE:-60}
size=$(stat -c %s "$file")
sha256=$(sha256sum "$file" | cut -d' ' -f1)
recording=$(basename "${file%.*}")
topic=lapel/v1/camera/$device

work=$(mktemp -d)
trap 'kill "$listener" 2>/dev/null || true; rm -rf "$work"' EXIT
# Listen first: an answer that nobody hears has to be asked for again.
mosquitto_sub "$@" -q 1 -t "$topic/response" -W "$patience" >"$work/answers" &
listener=$!
sleep 0.5

mosquitto_pub "$@" -q 1 -t "$topic/file/$recording/init" \
  -m "{\"v\":1,\"name\":\"$(basename "$file")\",\"size\":$size,\"checksum\":\"$sha256\"}"
offset=0
while [ "$offset" -lt "$size" ]; do
  tail -c "+$((offset + 1))" "$file" | head -c "$segment" |
    mosquitto_pub "$@" -q 1 -t "$topic/file/$recording/$offset" -s
  offset=$((offset + segment))
done
mosquitto_pub "$@" -q 1 -t "$topic/file/$recording/fin/$size/$sha256" -n

# The broker's acknowledgements say nothing: only the receipt does.
while kill -0 "$listener" 2>/dev/null; do
  if grep -F "\"recording\":\"$recording\"" "$work/answers" | grep -F '"receipt":' | grep -F "\"sha256\":\"$sha256\""; then
    exit 0
  fi
  sleep 0.1
done
echo "no receipt within $patience s; the last answer:" >&2
tail -n 1 "$work/answers" >&2
exit 1
