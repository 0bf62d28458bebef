#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# kms.sh [--json] - kms-shim's figures, on a private swtpm, side by side with the bare TPM commands, a bare
# ping-pong and a plain plugin in Go. Fails if a limit is exceeded.
#
#	BUILD		the build folder
set -eu
cd "$(dirname "$0")/../.."
top=$(pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$top/$BUILD ;; esac
work=$(mktemp -d "${TMPDIR:-/tmp}/kt.XXXXXX")
# shellcheck source=tests/tools/swtpm.sh
. "$top/tests/tools/swtpm.sh"
trap 'stop_all_tpms; rm -rf "$work"' EXIT
trap 'exit 129' HUP INT TERM
stage=$work/stage
"${MAKE:-make}" --no-print-directory install "DESTDIR=$stage" PREFIX=/usr "B=$BUILD" >/dev/null
PATH=$stage/usr/bin:$PATH
export PATH HOME="$work" TSS2_LOG=all+none
umask 022
start_tpm
cd "$work"
{
	sealtool init
	sealtool key new --type hmac --pcrs sha256:7 -o k1.key
	sealtool policy new-key --no-passphrase -o policy.pem --pub policy.pub
	sealtool key new --type hmac --policy-key policy.pub -o signed.key
	sealtool pcrs --pcrs sha256:7 --json
} >now.txt 2>keys.log
tail -n 1 now.txt >now.json
mkdir approvals
sealtool policy sign --key policy.pem --for signed.key --for-pcrs now.json -o approvals/1.json 2>>keys.log
printf '%s\n' 'cluster = bench' 'key = k1.key' "listen = unix://$work/kms.sock" \
	"metrics = unix://$work/metrics.sock" 'log-calls = none' >kms.conf
printf '%s\n' 'cluster = bench' 'key = signed.key' 'policy-dir = approvals' >signed.conf
if command -v go >/dev/null; then
	GOPATH=/usr/share/gocode GO111MODULE=off GOCACHE=$work/go-cache \
		go build -o goplugin "$top/tests/bench/goplugin/main.go"
fi
"$top/tests/bench/kms.py" "$BUILD/bench" "$stage/usr/libexec/kubetpm/kms-shim" "$@"
