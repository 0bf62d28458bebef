#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# deps.sh GROUP... - installs the Debian packages of these groups, and only those that are missing.
# Quiet and quick when nothing is. Asks for root only then.
set -eu

# "a|b": either will do (names differ between Debian releases); "command:package": only where the
# command is not on PATH.
group() {
	case $1 in
	build) echo 'gcc make libc6-dev pkg-config:pkgconf libtss2-dev libjson-c-dev libssl-dev' \
		'libnghttp2-dev libprotobuf-c-dev protobuf-c-compiler zlib1g-dev' \
		'libcurl4-openssl-dev' ;;
	demo) echo 'swtpm tpm2-tools openssl python3 libtss2-tcti-swtpm0|libtss2-tcti-swtpm0t64' \
		'kubectl:kubernetes-client' ;;
	check) echo 'libcriterion-dev tpm2-tools tpm2-abrmd libtss2-tcti-tabrmd0 dbus-daemon' \
		'libtss2-tcti-pcap0|libtss2-tcti-pcap0t64 jose python3 util-linux procps binutils' \
		'python3-grpcio python3-protobuf python3-hpack nghttp2-client strace xxd golang-go golang-google-grpc-dev' ;;
	fuzz) echo 'clang llvm libclang-rt-14-dev|libclang-rt-19-dev' ;;
	lint) echo 'clang clang-format clang-tidy cppcheck shellcheck groff-base binutils git python3' ;;
	bench) echo 'clevis clevis-tpm2 hyperfine time jose nghttp2-client golang-go golang-google-grpc-dev' ;;
	coverage) echo 'python3' ;;
	*)
		echo "deps.sh: unknown group '$1' (build demo check fuzz lint bench coverage)" >&2
		exit 2
		;;
	esac
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Prints the entry if nothing of it is there.
missing() {
	case $1 in
	*:*)
		command -v "${1%%:*}" >/dev/null || installed "${1#*:}" || echo "${1#*:}"
		return
		;;
	esac
	for name in $(echo "$1" | tr '|' ' '); do
		if installed "$name"; then
			return
		fi
	done
	echo "$1"
}

[ $# -gt 0 ] || set -- build
wanted=
for g in "$@"; do
	wanted="$wanted $(group "$g")"
done
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	for entry in $wanted; do
		case $entry in *:*) command -v "${entry%%:*}" >/dev/null && continue ;; esac
		list="${list-} ${entry#*:}"
	done
	echo "deps.sh: not a Debian system, nothing installed; this needs what Debian calls:${list-}" >&2
	exit 0
fi

lacking=
for entry in $wanted; do
	m=$(missing "$entry")
	case " $lacking " in *" $m "*) ;; *) lacking="$lacking $m" ;; esac
done
lacking=$(echo "$lacking" | tr -s ' ' | sed 's/^ //; s/ $//')
[ -n "$lacking" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps.sh: packages are missing; as root:" >&2
		echo "	apt-get update && apt-get install --no-install-recommends" \
			"$(echo "$lacking" | sed 's/|[^ ]*//g')" >&2
		exit 1
	fi
	as_root=sudo
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A stale or half-reachable list is apt-get install's business to complain about.
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >"$log" 2>&1 || tail -n 5 "$log" >&2

names=
for entry in $lacking; do
	choice=
	for name in $(echo "$entry" | tr '|' ' '); do
		if [ -z "$choice" ] && apt-cache show --no-all-versions "$name" >/dev/null 2>&1; then
			choice=$name
		fi
	done
	names="$names ${choice:-${entry%%|*}}"
done
echo "deps.sh: installing$names"
# shellcheck disable=SC2086 # names is a list
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
	install --no-install-recommends $names >"$log" 2>&1; then
	cat "$log" >&2
	echo "deps.sh: apt-get install failed for:$names" >&2
	exit 1
fi
