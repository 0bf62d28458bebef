#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# audit.sh - what the audit costs, and how fast audit-verify is. Logs lie in memory (/dev/shm), so that it is
# not a disk that is measured. Fails if a limit is exceeded.
#
#	BUILD		the build folder
set -eu
cd "$(dirname "$0")/../.."
top=$(pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$top/$BUILD ;; esac
work=$(mktemp -d /dev/shm/kt.XXXXXX)
# shellcheck source=tests/tools/swtpm.sh
. "$top/tests/tools/swtpm.sh"
trap 'stop_all_tpms; rm -rf "$work"' EXIT
trap 'exit 129' HUP INT TERM
stage=$work/stage
"${MAKE:-make}" --no-print-directory install "DESTDIR=$stage" PREFIX=/usr "B=$BUILD" >/dev/null
PATH=$stage/usr/bin:$PATH
export PATH HOME="$work" TSS2_LOG=all+none
start_tpm
cd "$work"
{
	sealtool init
	sealtool audit init --log audit.log --ak-out ak.pub
	sealtool key new --type hmac --pcrs sha256:7 -o k1.key
	# What it costs does not depend on whose the owner's authorisation value is.
	sealtool audit init --log counted.log --ak-out ak.pub --tier b --force
	sealtool key new --type hmac --audit-tier b --pcrs sha256:7 -o k2.key
} >/dev/null 2>&1
printf '%s\n' 'cluster = bench' 'key = k1.key' 'log-calls = none' >common.conf
{
	cat common.conf
	echo "listen = unix://$work/plain.sock"
} >plain.conf
{
	cat common.conf
	echo "listen = unix://$work/audited.sock"
	echo 'audit = audit.log'
} >audited.conf
{
	sed 's/k1.key/k2.key/' common.conf
	echo "listen = unix://$work/counted.sock"
	echo 'audit = counted.log'
} >counted.conf
"$top/tests/bench/audit.py" "$BUILD/bench" "$stage/usr/libexec/kubetpm/kms-shim" "$top/tests/tools/count-tpm-commands"
