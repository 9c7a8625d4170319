#!/usr/bin/env bash
# The protocols beside TorchServe's own, by curl alone: v2 with JSON, v2 with bytes, KServe v1, and a workflow as it goes.
#
#     docs/examples/curl.sh [SERVER] [WORKFLOW] [FILE]
#
# SERVER is http://127.0.0.1:8080 without another, WORKFLOW segment_cover, and FILE, which the workflow is asked about, a
# picture of tests/fixtures. The server also serves the model mlp, four numbers to three; docs/examples/README.md says how to
# start one. A key, if the server asks for one, is read from the environment variable TORCHRELAY_KEY.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
server=${1:-http://127.0.0.1:8080}
workflow=${2:-segment_cover}
file=${3:-$root/tests/fixtures/quadrats/mixed.png}
ask=(curl --silent --show-error --fail-with-body --max-time 30)
if [ -n "${TORCHRELAY_KEY:-}" ]; then
    ask+=(--header "Authorization: Bearer $TORCHRELAY_KEY")
fi

echo "v2, JSON:"
"${ask[@]}" "$server/v2/models/mlp/infer" --data-binary \
    '{"id": "7", "inputs": [{"name": "body", "datatype": "FP32", "shape": [4], "data": [0.1, -2.5, 3, 0.001]}]}'
echo

# The JSON says how many bytes follow it, and a header how long the JSON is; numbers are little-endian.
echo "v2, bytes (four times 1.0; the last twelve bytes of the answer, as numbers):"
json='{"inputs": [{"name": "body", "datatype": "FP32", "shape": [4], "parameters": {"binary_data_size": 16}}],
  "outputs": [{"name": "output", "parameters": {"binary_data": true}}]}'
one='\0\0\x80\x3f'
{ printf '%s' "$json"; printf "$one$one$one$one"; } |
    "${ask[@]}" "$server/v2/models/mlp/infer" --data-binary @- \
        --header 'Content-Type: application/octet-stream' \
        --header "Inference-Header-Content-Length: ${#json}" |
    tail -c 12 | od -A n -t f4

echo "KServe v1, two rows:"
"${ask[@]}" "$server/v1/models/mlp:predict" \
    --data-binary '{"instances": [[0.1, -2.5, 3, 0.001], [1.0, 1.0, 1.0, 1.0]]}'
echo

# --no-buffer shows each event when it comes.
echo "$workflow, node by node:"
"${ask[@]}" --no-buffer --header 'Accept: text/event-stream' \
    "$server/wfpredict/$workflow?stream=1" --data-binary "@$file" | cut -c 1-160
