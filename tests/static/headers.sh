#!/bin/sh
# headers.sh CC NM INCLUDE: the SDK's headers give an object file no symbol of their own, and no macro
# that does not begin with AP_.
set -eu
cc=$1 nm=$2 include=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

for header in $(cd "$include" && find ap -name '*.h' | sort); do
	echo "#include <$header>" >"$work/one.c"
	"$cc" -std=c11 -I"$include" -c "$work/one.c" -o "$work/one.o"
	symbols=$("$nm" -g --defined-only "$work/one.o")
	if [ -n "$symbols" ]; then
		echo "$header defines: $symbols"
		failed=1
	fi
	grep -ho '^# *define  *[A-Za-z_0-9]*' "$include/$header" | awk '{ print $NF }' | sort -u >"$work/mine"
	if grep -v '^AP_' "$work/mine"; then
		echo "$header defines these macros, which do not begin with AP_"
		failed=1
	fi
done
exit $failed
