#!/bin/sh
# exports.sh NM READELF PLUGIN [any-libraries]: the plugin exports ap_plugin_v1 and nothing else,
# has no run path and, unless told otherwise, needs libc only.
set -eu
nm=$1 readelf=$2 plugin=$3 libraries=${4:-}

exports=$("$nm" -D --defined-only "$plugin" | awk '{ print $NF }')
if [ "$exports" != ap_plugin_v1 ]; then
	echo "$plugin exports: $(echo "$exports" | tr '\n' ' ')"
	exit 1
fi
dynamic=$("$readelf" -d "$plugin")
if echo "$dynamic" | grep -E 'RPATH|RUNPATH'; then
	echo "$plugin has a run path"
	exit 1
fi
for flag in NOW NODELETE; do
	if ! echo "$dynamic" | grep FLAGS | grep -qw "$flag"; then
		echo "$plugin lacks the flag $flag"
		exit 1
	fi
done
needed=$(echo "$dynamic" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
if [ "$libraries" != any-libraries ] && echo "$needed" | grep -v '^libc\.'; then
	echo "$plugin needs more than libc"
	exit 1
fi
