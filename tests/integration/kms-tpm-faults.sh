#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# kms-tpm behind kms-shim's socket, with a TPM that is busy, locked, broken, silent or not there: each has words of
# its own, nothing wrong gets out, and when it is over all goes on in the same process.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=proxy.sh
. "$(dirname "$0")/../tools/proxy.sh"
umask 022
shim=$STAGE/usr/libexec/kubetpm/kms-shim
sock=$dir/kms.sock
python=$(python_with 'grpc')
client() {
	"$python" "$tools/kms-client.py" "$sock" "$@"
}
now_ms() {
	echo $(($(date +%s%N) / 1000000))
}

must start_tpm
must sealtool init
must sealtool key new --type hmac --pcrs sha256:7 -o k1.key
must sealtool key new --type hmac --pcrs sha256:7 -o k2.key
must start_proxy
# order WHAT: what the TPM does from now on
# The TPM answers again. It had no resource manager, which would have freed what nobody could flush.
order_nothing() {
	flush_tpm
	order
}
conf() {
	printf '%s\n' 'cluster = prod' "listen = unix://$sock" "tcti = swtpm:path=$tpm_dir/mid" "$@" \
		>kms.conf
}
conf 'key = k1.key'
order
"$shim" --config kms.conf -v >shim.out 2>shim.log &
pid=$!
# shellcheck disable=SC2016 # for later
at_exit 'kill -KILL "$pid" 2>/dev/null'
must tpm_wait_for grep -q 'debug: ready' shim.log
run client encrypt u1 00ff
expect_status 0
cp "$out" made.json

# goes_wrong CODE WORDS: all three methods fail with them
goes_wrong() {
	sleep 1.1 # a Status holds for a second
	for method in status 'encrypt u2 00ff' 'decrypt u3 made.json'; do
		# shellcheck disable=SC2086 # words
		run client $method
		expect_status 1
		expect_err "$1: "
		expect_err "$2"
		expect_no_out
	done
}
goes_on() {
	order_nothing
	run client decrypt u4 made.json
	expect_out 00ff
	run client status
	expect_json "j['healthz']" ok
	expect 'in the same process' kill -0 "$pid"
}

it 'in lockout it says so, and for how long'
order rc 921
goes_wrong UNAVAILABLE lockout
expect_err 'wait for the recovery time'
goes_on

it 'in failure mode it says so'
order rc 101
goes_wrong UNAVAILABLE 'failure mode'
goes_on

it 'when the TPM closes the connection it cannot be reached'
order drop
goes_wrong UNAVAILABLE 'cannot talk to the TPM'
goes_on

it 'when the TPM is busy for a moment, the call only takes longer'
order rc 922
(sleep 0.5 && order_nothing) &
run client decrypt u5 made.json
wait $!
expect_out 00ff

it 'when the TPM stays busy, the call ends with its deadline, and the next one need not wait'
order rc 922
begun=$(now_ms)
KMS_TIMEOUT=1 run client decrypt u6 made.json
expect_status 1
expect_err DEADLINE_EXCEEDED
sleep 0.7
order_nothing
run client decrypt u7 made.json
expect_out 00ff
expect "after $(($(now_ms) - begun)) ms" test "$(($(now_ms) - begun))" -lt 4000

it 'when the TPM is silent, calls end with their deadlines, and go on when it speaks'
order hang
for uid in u8 u9; do
	KMS_TIMEOUT=1 run client decrypt $uid made.json
	expect_status 1
	expect_err DEADLINE_EXCEEDED
done
goes_on

it 'with a TPM that does not know the key any more, nothing wrong gets out'
for rc in 18b 910 1df; do
	order "rc $rc"
	run client decrypt u10 made.json
	expect_status 1
	expect_no_out
	goes_on
done

it 'a reload that the TPM does not allow changes nothing'
conf 'key = k2.key' 'old-key = k1.key'
order rc 101
kill -HUP "$pid"
must tpm_wait_for grep -q 'not reloaded, nothing has changed' shim.log
expect 'and why' grep -q 'failure mode' shim.log
goes_on
expect_json "j['key_id']" "$(json "j['key_id']" made.json)"

# reloaded N: waits until the shim has done so N times
reloaded() {
	[ "$(grep -c 'debug: reloaded' shim.log)" -eq "$1" ]
}
it 'a reload takes the new key, and reads what the old one made'
kill -HUP "$pid"
must tpm_wait_for reloaded 1
run client status
expect 'another key' test "$(json "j['key_id']")" != "$(json "j['key_id']" made.json)"
run client decrypt u11 made.json
expect_out 00ff
run client encrypt u12 0a0b
cp "$out" made2.json
run client decrypt u13 made2.json
expect_out 0a0b

it 'a reload without the old key reads no more what it made, and nothing else changes'
conf 'key = k2.key'
kill -HUP "$pid"
must tpm_wait_for reloaded 2
run client decrypt u14 made.json
expect_status 1
expect_err key_id
run client decrypt u15 made2.json
expect_out 0a0b
conf 'key = k2.key' 'old-key = k1.key'
kill -HUP "$pid"
must tpm_wait_for reloaded 3
run client decrypt u16 made.json
expect_out 00ff

it 'ends within bounds while the TPM is silent'
order hang
KMS_TIMEOUT=1 run client decrypt u17 made.json
begun=$(now_ms)
kill -TERM "$pid"
wait "$pid"
expect "after $(($(now_ms) - begun)) ms" test "$(($(now_ms) - begun))" -lt 20000
expect 'and says why it took so long' grep -q 'has not returned' shim.log
order
done_testing
