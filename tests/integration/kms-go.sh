#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# grpc-go, the library of kube-apiserver, against kms-shim with kms-tpm: every form of authority, many connections,
# deadlines, errors, and a restart that no call notices.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
umask 022
shim=$STAGE/usr/libexec/kubetpm/kms-shim
sock=$dir/kms.sock
command -v go >/dev/null || skip_all 'no go here'
[ -d /usr/share/gocode/src/google.golang.org/grpc ] || skip_all 'no grpc-go here'
# Debian's packages, and nothing from the network.
must env HOME="$dir" GOPATH=/usr/share/gocode GO111MODULE=off GOCACHE="$dir/go-cache" GOFLAGS= GOPROXY=off \
	go build -o kms-go "$tools/kms-go/main.go"
rm -rf go-cache

must start_tpm
must sealtool init
must sealtool key new --type hmac --pcrs sha256:7 -o k1.key
printf '%s\n' 'cluster = prod' 'key = k1.key' "listen = unix://$sock" 'log-calls = none' >kms.conf
pid=
start() {
	: >shim.log
	"$shim" --config kms.conf -v >shim.out 2>shim.log &
	pid=$!
	must tpm_wait_for grep -q 'debug: ready' shim.log
}
# shellcheck disable=SC2016 # for later
at_exit '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null'
start

it 'serves whatever it is addressed by'
run ./kms-go forms "$sock"
expect_status 0

it 'serves 32 connections at once, in both versions'
run ./kms-go load "$sock" 32 20
expect_status 0

it 'keeps deadlines, and goes on after them'
run ./kms-go deadline "$sock"
expect_status 0

it 'answers errors with a code and a sentence that grpc-go reads'
run ./kms-go refused "$sock"
expect_status 0

it 'is restarted without any call failing'
./kms-go steady "$sock" 6 >steady.out 2>"$err" &
steady=$!
for signal in TERM TERM; do
	sleep 1.5
	kill -$signal "$pid"
	wait "$pid"
	start
done
status=0
wait "$steady" || status=$?
ran='kms-go steady'
expect_status 0
expect "$(cat steady.out) round trips" test "$(cat steady.out)" -gt 20

it 'is found again by a connection whose shim was killed'
./kms-go steady "$sock" 1 >/dev/null
kill -KILL "$pid"
wait "$pid" 2>/dev/null
start
run ./kms-go load "$sock" 4 5
expect_status 0
kill "$pid"
wait "$pid"
expect 'it ends well' test $? -eq 0
pid=
done_testing
