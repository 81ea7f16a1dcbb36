#!/bin/sh
# Builds the fuzz targets and runs each for so many seconds (20) on its corpus,
# two at a time. Exits non-zero at the first input that crashes, leaks, takes
# over 10 seconds or 2 GiB; the input is left in build/fuzz/found. What is new
# of interest stays in build/fuzz/corpus for the next time. Further arguments
# are the names of the only targets to run.
set -eu
cd "$(dirname "$0")/../.."
. .ci/packages.sh
install_packages $build_packages $test_packages

seconds="${1:-20}"
[ $# = 0 ] || shift
fuzz="$(pwd)/build/fuzz"

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target fuzz_targets
names="$*"
if [ -z "$names" ]; then
	for program in "$fuzz"/tests/bin/fuzz_*; do
		names="$names ${program##*/fuzz_}"
	done
fi

# Runs one target and says how far it came; on failure the whole of what it said.
fuzz_one() {
	mkdir -p "$fuzz/found" "$fuzz/corpus/$1"
	set -- "$1" "$fuzz/found/$1.log" "$fuzz/tests/bin/fuzz_$1" "$fuzz/corpus/$1" \
		"$(pwd)/tests/fuzz/corpus/$1" "$(pwd)/tests/fuzz/$1.dict"
	dictionary=""
	[ ! -f "$6" ] || dictionary="-dict=$6"
	if "$3" "$4" "$5" $dictionary -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-report_slow_units=5 -artifact_prefix="$fuzz/found/$1-" >"$2" 2>&1; then
		echo "fuzz $1: $(sed -n 's/.*\(DONE.*exec\/s: [0-9]*\).*/\1/p' "$2" | tail -n 1)"
	elif grep -q "libFuzzer: timeout" "$2" && "$3" -timeout=10 "$fuzz/found/$1"-timeout-* >/dev/null 2>&1; then
		# libFuzzer looks at the wall clock: the machine was busy, not the target.
		rm "$fuzz/found/$1"-timeout-*
		echo "fuzz $1: an input took over 10 seconds, but not when tried again"
	else
		cat "$2" >&2
		echo "fuzz $1: failed" >&2
		return 1
	fi
}

# Two at a time: one in the background, one here.
set -- $names
while [ $# -gt 0 ]; do
	fuzz_one "$1" &
	other=$!
	shift
	result=0
	if [ $# -gt 0 ]; then
		fuzz_one "$1" || result=1
		shift
	fi
	wait "$other" || result=1
	[ "$result" = 0 ] || exit 1
done
