#!/bin/sh
# Installs what is needed, builds and runs all tests: optimised, then under
# AddressSanitizer with UBSan and leak check, then under ThreadSanitizer.
# Exits non-zero if anything fails. PRESETS="release" runs only that one. Before
# the last one's tests every fuzz target runs for FUZZ_SECONDS (20; 0: not at all).
set -eu
cd "$(dirname "$0")/.."
. .ci/packages.sh
install_packages $build_packages $test_packages

failed=""
set -- ${PRESETS:-asan tsan release}
while [ $# -gt 0 ]; do
	preset="$1"
	shift
	echo "== $preset"
	cmake --preset "$preset" -DAPD_TESTS=ON >/dev/null
	cmake --build --preset "$preset"
	if [ $# = 0 ] && [ "${FUZZ_SECONDS:-20}" != 0 ]; then
		tests/fuzz/run.sh "${FUZZ_SECONDS:-20}" || failed="$failed fuzz"
	fi
	ctest --preset "$preset" --no-tests=error -j "$(nproc)" || failed="$failed $preset"
done
if [ -n "$failed" ]; then
	echo "failed:$failed" >&2
	exit 1
fi
