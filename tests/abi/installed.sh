#!/bin/sh
# installed.sh CMAKE BUILD SOURCE CC NM READELF WORK: installs the SDK below WORK and builds the
# template and every example against it, as an author would, with CMake and with pkg-config.
set -eu
cmake=$1 build=$2 source=$3 cc=$4 nm=$5 readelf=$6 work=$7
here=$(dirname "$0")

rm -rf "$work"
mkdir -p "$work"
# The build that runs this test has Ninja; a machine need not have make.
CMAKE_GENERATOR=Ninja
export CMAKE_GENERATOR
"$cmake" --install "$build" --component sdk --prefix "$work/prefix" >"$work/install.log"

template=$(find "$work/prefix" -type d -name template)
for project in "$template" "$source/examples/hello" \
	"$source/examples/countdown" "$source/examples/crash"; do
	name=$(basename "$project")
	"$cmake" -S "$project" -B "$work/$name" -DCMAKE_PREFIX_PATH="$work/prefix" \
		-DCMAKE_C_COMPILER="$cc" >"$work/$name.log" 2>&1 ||
		{ cat "$work/$name.log"; exit 1; }
	"$cmake" --build "$work/$name" >>"$work/$name.log" 2>&1 ||
		{ cat "$work/$name.log"; exit 1; }
	if grep -i 'warning' "$work/$name.log"; then
		exit 1
	fi
	case $name in
	template) plugin=my_agent ;;
	*) plugin=$name ;;
	esac
	sh "$here/exports.sh" "$nm" "$readelf" "$work/$name/$plugin.so"
done

PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name apd-sdk.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046
"$cc" $(pkg-config --define-prefix --cflags apd-sdk) \
	$(pkg-config --define-prefix --variable=agentflags apd-sdk) \
	-o "$work/by-hand.so" "$source/examples/hello/hello.c"
sh "$here/exports.sh" "$nm" "$readelf" "$work/by-hand.so"
