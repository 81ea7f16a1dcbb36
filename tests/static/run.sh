#!/bin/sh
# Looks at the source without running it: clang-format, cppcheck, clang-tidy and gcc's analyzer.
# Prints what they find and exits non-zero if that is anything. run.sh [NAME...] does only
# some: format, cppcheck, tidy, analyzer. What is not looked for, and why, stands in
# .clang-tidy, cppcheck.txt and analyzer.txt.
set -eu
cd "$(dirname "$0")/../.."
. .ci/packages.sh
install_packages $build_packages $test_packages
here=tests/static
build=${APD_STATIC_DIR:-build/static}
jobs=$(nproc)

format() {
	find core plugins examples sdk tests -name '*.[ch]' -print0 |
		xargs -0 clang-format --dry-run --Werror
}

run_cppcheck() {
	cppcheck -q -j"$jobs" --std=c11 --enable=warning,performance,portability --error-exitcode=1 \
		--suppressions-list=$here/cppcheck.txt -D__GNUC__ -D__x86_64__ -D_GNU_SOURCE \
		-D'APD_VERSION="0"' -I core -I sdk/include core plugins examples sdk tests/sim
}

tidy() {
	cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >/dev/null
	find core plugins examples -name '*.c' -print0 |
		xargs -0 -P"$jobs" -n4 clang-tidy -p "$build" --quiet 2>"$build/tidy.stderr" ||
		{ grep -v 'warnings generated' "$build/tidy.stderr"; return 1; }
}

analyzer() {
	find core plugins examples -name '*.c' -print0 | xargs -0 -P"$jobs" -n1 sh $here/analyze.sh
}

failed=""
for check in ${*:-format cppcheck tidy analyzer}; do
	echo "== $check"
	case $check in
	cppcheck) run_cppcheck || failed="$failed $check" ;;
	format | tidy | analyzer) $check || failed="$failed $check" ;;
	*) echo "there is no $check" >&2 && exit 2 ;;
	esac
done
if [ -n "$failed" ]; then
	echo "failed:$failed" >&2
	exit 1
fi
