#!/usr/bin/env bash
# Checks a log's signed checkpoint, or that an entry is in the log, with nothing of Lapel:
# bash, openssl, base64 and xxd.
#   checkpoint.sh VKEY CHECKPOINT        the checkpoint is signed by this verifier key
#   checkpoint.sh VKEY PROOF LEAF        the leaf is in the log (c2sp.org/tlog-proof@v1)
# VKEY is a file with one C2SP verifier key. Exit 0 good, 2 usage, 3 not so.
set -euo pipefail
export LC_ALL=C

no() { echo "checkpoint.sh: $*" >&2; exit 3; }
[[ $# -eq 2 || $# -eq 3 ]] || { sed -n '2,6s/^# //p' "$0" >&2; exit 2; }
for file in "$@"; do [[ -r $file ]] || { echo "checkpoint.sh: cannot read $file" >&2; exit 2; }; done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
hex() { xxd -p | tr -d '\n'; }
unhex() { xxd -r -p; }
sha() { openssl dgst -sha256 -binary | hex; }
# Strict base64: decoded and printed again it must be the same text.
b64() {
  local out
  out=$(printf %s "$1" | base64 -d 2>/dev/null | hex) || no "not base64: $1"
  [[ $(printf %s "$out" | unhex | base64 -w0) == "$1" ]] || no "not strict base64: $1"
  printf %s "$out"
}
number() { [[ $1 =~ ^(0|[1-9][0-9]{0,17})$ ]] || no "not a plain number: $1"; }

# The verifier key: name+id+base64(0x01 || key), id = SHA-256(name LF 0x01 key)[:4].
read -r vkey < "$1" || no "the verifier key's line does not end"
name=${vkey%%+*} rest=${vkey#*+}
id=${rest%%+*} blob=$(b64 "${rest#*+}")
[[ ${#blob} -eq 66 && ${blob:0:2} == 01 ]] || no "not an Ed25519 verifier key"
[[ $({ printf '%s\n' "$name"; printf %s "$blob" | unhex; } | sha | cut -c1-8) == "$id" ]] || no "the key id is wrong"
printf '302a300506032b6570032100%s' "${blob:2}" | unhex > "$work/key.der"

# The checkpoint: the file itself, or what follows a proof's first empty line.
if [[ $# -eq 3 ]]; then
  mapfile -t head < <(sed '/^$/,$d' "$2")
  sed '1,/^$/d' "$2" > "$work/note"
else
  cp "$2" "$work/note"
fi
[[ $(tail -c1 "$work/note" | hex) == 0a ]] || no "the note does not end in a newline"
mapfile -t lines < "$work/note"
[[ ${#lines[@]} -ge 5 && -z ${lines[3]} ]] || no "a checkpoint has three lines and an empty one"
origin=${lines[0]} size=${lines[1]} root=$(b64 "${lines[2]}")
number "$size"
[[ $origin == "$name" ]] || no "a checkpoint of $origin, expected $name"
[[ ${#root} -eq 64 ]] || no "the root is not 32 bytes"

printf '%s\n%s\n%s\n' "${lines[@]:0:3}" > "$work/text"
found=0
for line in "${lines[@]:4}"; do
  [[ $line == "— $name "* ]] || continue
  signature=$(b64 "${line##* }")
  [[ ${signature:0:8} == "$id" ]] || continue
  printf %s "${signature:8}" | unhex > "$work/signature"
  openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey "$work/key.der" \
    -in "$work/text" -sigfile "$work/signature" > /dev/null 2>&1 || no "the signature is wrong"
  found=$((found + 1))
done
[[ $found -eq 1 ]] || no "$found signatures of $name+$id, expected 1"
if [[ $# -eq 2 ]]; then
  echo "checkpoint of $origin: size $size, signature good"
  exit 0
fi

# The proof (RFC 9162 section 2.1.3.2).
[[ ${head[0]:-} == "c2sp.org/tlog-proof@v1" ]] || no "not a c2sp.org/tlog-proof@v1 file"
at=1
[[ ${head[at]:-} == "extra "* ]] && at=2
[[ ${head[at]:-} == "index "* ]] || no "a proof without its index"
index=${head[at]#index }
number "$index"
((index < size)) || no "index $index is not in a log of $size"
hash=$({ printf '\0'; cat "$3"; } | sha)
fn=$index sn=$((size - 1))
for step in "${head[@]:at+1}"; do
  step=$(b64 "$step")
  [[ ${#step} -eq 64 ]] || no "a hash that is not 32 bytes"
  ((sn > 0)) || no "the proof is too long"
  if ((fn & 1 || fn == sn)); then
    hash=$(printf '01%s%s' "$step" "$hash" | unhex | sha)
    while ! ((fn & 1)) && ((fn)); do fn=$((fn >> 1)) sn=$((sn >> 1)); done
  else
    hash=$(printf '01%s%s' "$hash" "$step" | unhex | sha)
  fi
  fn=$((fn >> 1)) sn=$((sn >> 1))
done
((sn == 0)) || no "the proof is too short"
[[ $hash == "$root" ]] || no "the leaf is not entry $index of $origin at size $size"
echo "entry $index of $origin at size $size: in the log, signature good"
