#!/bin/sh
# Installs what is needed, builds and runs all tests: optimised, then under
# AddressSanitizer with UBSan and leak check, then under ThreadSanitizer.
# Exits non-zero if anything fails. PRESETS="release" runs only that one.
set -eu
cd "$(dirname "$0")/.."
. .ci/packages.sh
install_packages $build_packages $test_packages

failed=""
for preset in ${PRESETS:-asan tsan release}; do
	echo "== $preset"
	cmake --preset "$preset" -DAPD_TESTS=ON >/dev/null
	cmake --build --preset "$preset"
	ctest --preset "$preset" --no-tests=error -j "$(nproc)" || failed="$failed $preset"
done
if [ -n "$failed" ]; then
	echo "failed:$failed" >&2
	exit 1
fi
