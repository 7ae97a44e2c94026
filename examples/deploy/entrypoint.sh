#!/bin/sh
# Start of the container: `voxcli serve` with what the environment says, or another command of voxcli.
#
#   PORT              to listen on in the container
#   HF_REPO_ID        model, which is downloaded first if it is not there; or VOXCLI_MODEL
#   GPU_IDLE_TIMEOUT  seconds without requests after which the model is unloaded
set -eu

check_health='
import json, os, ssl, sys, urllib.request

def status(scheme):
    url = "%s://127.0.0.1:%s/health" % (scheme, os.environ.get("PORT", "7861"))
    with urllib.request.urlopen(url, timeout=4, context=ssl._create_unverified_context()) as answer:
        return json.load(answer)["status"]

try:
    found = status("http")
except (OSError, ValueError):
    found = status("https")
sys.exit(found != "healthy")
'

case ${1:-} in
--check-health) exec python3 -c "$check_health" ;;
serve) shift ;;
"" | -*) ;;
*) exec voxcli "$@" ;;
esac

export TMPDIR="${TMPDIR:-$HOME/tmp}" # speech that waits for slow clients needs a disk
mkdir -p "$TMPDIR"
model=${HF_REPO_ID:-${VOXCLI_MODEL:-}}
case $model in
"" | espeak | kokoro | /*) ;;
*) voxcli models pull "$model" --yes >/dev/null ;;
esac
[ -z "$model" ] || set -- --model "$model" "$@"
[ -z "${GPU_IDLE_TIMEOUT:-}" ] || set -- --idle-seconds "$GPU_IDLE_TIMEOUT" "$@"
exec voxcli serve --host 0.0.0.0 --port "${PORT:-7861}" "$@"
