#!/bin/sh
# From a bare machine to a streamed run: installs what is needed, builds apd,
# starts it with its bundled agents on an embedded database, and makes a run.
set -eu
cd "$(dirname "$0")/.."
. .ci/packages.sh
echo "== Installing what apd is built with"
install_packages $build_packages curl

echo "== Building"
cmake --preset release -DAPD_TESTS=OFF >/dev/null
cmake --build --preset release

echo "== Starting apd"
dir=$(mktemp -d)
build/release/bin/apd serve --listen 127.0.0.1:0 --data-dir "$dir/data" >"$dir/out" 2>"$dir/log" &
pid=$!
trap 'kill $pid 2>/dev/null || true; wait $pid 2>/dev/null || true; rm -rf "$dir"' EXIT
tries=0
until grep -q "listening on" "$dir/out"; do
	tries=$((tries + 1))
	if [ $tries -gt 100 ] || ! kill -0 $pid 2>/dev/null; then
		echo "apd did not start:" >&2
		cat "$dir/log" >&2
		exit 1
	fi
	sleep 0.1
done
url=$(sed -n 's/^listening on //p' "$dir/out")
echo "apd listens on $url"

echo
echo "== The agents it serves"
curl -fsS -X POST "$url/agents/search" -d '{}'
echo

echo
echo "== A run of echo, streamed as server-sent events"
curl -fsSN -X POST "$url/runs/stream" -d '{
  "agent_id": "echo",
  "messages": [{"role": "user", "content": "Hello from a fresh machine"}],
  "stream_mode": ["messages", "values"]
}'

echo "== The same, waiting for the result"
curl -fsS -X POST "$url/runs/wait" -d '{
  "agent_id": "echo",
  "messages": [{"role": "user", "content": "Hello again"}]
}'
echo
echo
echo "It works. Start it yourself with:"
echo "  build/release/bin/apd serve"
