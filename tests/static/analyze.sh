#!/bin/sh
# analyze.sh FILE.c: gcc's analyzer over one file; fails if it finds what analyzer.txt does not except.
set -eu
except=$(sed -n "s|^$1: *||p" "$(dirname "$0")/analyzer.txt")
exec gcc -std=gnu17 -O2 -fPIC -D_GNU_SOURCE -D'APD_VERSION="0"' -D'APD_LIBDIR="lib"' \
	-D'APD_LIBEXECDIR="libexec"' -Icore -Isdk/include -fanalyzer -Werror $except -c "$1" -o /dev/null
