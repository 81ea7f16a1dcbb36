# What apd needs of Debian 12, and how to get it. Sourced by tests/run.sh and examples/quickstart.sh.

build_packages="gcc libc6-dev cmake ninja-build pkg-config libmicrohttpd-dev libjansson-dev
	libsqlite3-dev libuv1-dev libcurl4-gnutls-dev libgnutls28-dev libyaml-dev libpcre2-dev"
test_packages="g++ binutils libcmocka-dev python3 python3-jsonschema json-schema-test-suite wrk curl
	clang libclang-rt-14-dev clang-format clang-tidy cppcheck"

# Installs those of the named packages that are missing; needs root only when some are.
install_packages() {
	missing=""
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" ||
			missing="$missing $package"
	done
	[ -z "$missing" ] && return 0
	echo "installing:$missing"
	as_root=""
	[ "$(id -u)" = 0 ] || as_root="sudo"
	export DEBIAN_FRONTEND=noninteractive
	$as_root apt-get update -qq &&
		$as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
