# packages.sh: Debian packages for ./start and ./check. Sourced by both.
#
#	packages_install build          what the gateway is built from
#	packages_install build tests    and what its tests need
#
# Asks for root (sudo) only if something is missing. Daemons that come with test
# packages are kept from starting: tests start their own on free ports.

packages_build="build-essential ca-certificates cmake ninja-build pkg-config
	libclamav-dev libevent-dev libidn2-dev libjansson-dev libmaxminddb-dev libopendkim-dev
	libpcre2-dev libpsl-dev libseccomp-dev libspf2-dev libsqlite3-dev libssl-dev libunbound-dev
	libzstd-dev zlib1g-dev dns-root-data publicsuffix"

packages_tests="libcmocka-dev libgumbo-dev procps python3 python3-authres
	python3-cryptography python3-dkim python3-dnslib python3-pytest python3-yaml zstd
	postfix dovecot-lmtpd dovecot-imapd dovecot-sieve libmaxmind-db-writer-perl clamav-testfiles rspamd
	bogofilter spamprobe"

packages_is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Prints those that are not installed.
packages_missing() {
	for packages_kind in "$@"; do
		eval "packages_list=\$packages_$packages_kind"
		for packages_name in $packages_list; do
			packages_is_installed "$packages_name" || echo "$packages_name"
		done
	done
}

packages_as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "$0: these packages must be installed by root, and there is no sudo here:" >&2
		echo "	apt-get install --no-install-recommends $packages_wanted" >&2
		exit 1
	fi
}

# policy-rc.d answers 101, "not allowed", to every daemon that would start; ours alone is
# removed again.
packages_apt='
	set -e
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		trap "rm -f $policy" EXIT
		printf "#!/bin/sh\nexit 101\n" >"$policy"
		chmod 755 "$policy"
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update
	apt-get -q -y install --no-install-recommends "$@"
'

packages_install() {
	if ! command -v dpkg-query >/dev/null; then
		echo "$0: no Debian here: packages are not checked; see tests/packages.sh for them" >&2
		return 0
	fi
	packages_wanted=$(packages_missing "$@" | tr '\n' ' ')
	[ -n "$packages_wanted" ] || return 0
	echo "Missing Debian packages, installed as root: $packages_wanted"
	# word by word: a list of package names
	# shellcheck disable=SC2086
	packages_as_root sh -c "$packages_apt" packages $packages_wanted
}
