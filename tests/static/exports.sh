#!/bin/sh
# exports.sh NM FOLDER: every plugin in the folder exports ap_plugin_v1 and nothing else, but for those
# whose name says that they do not: tests want to see what becomes of such.
set -eu
nm=$1 folder=$2
failed=0

for plugin in "$folder"/*.so; do
	case ${plugin##*/} in
	exports_more.so) wanted="ap_plugin_v1 helper" ;;
	no_symbol.so) wanted="nothing" ;;
	not_a_library.so) continue ;;
	*) wanted="ap_plugin_v1" ;;
	esac
	# AddressSanitizer adds one of its own for every variable.
	found=$("$nm" -D --defined-only "$plugin" | awk '$NF !~ /^__odr_asan/ { print $NF }' | sort | tr '\n' ' ')
	if [ "${found% }" != "$wanted" ]; then
		echo "$plugin exports \"${found% }\", not \"$wanted\""
		failed=1
	fi
done
exit $failed
