#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `kms-shim check`: against a shim that is well, one that is not, and anybody else who may sit at the socket.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
umask 022
shim=$STAGE/usr/libexec/kubetpm/kms-shim
sock=$dir/kms.sock
python=$(python_with 'hpack')
check() {
	run timeout 20 "$shim" check --config kms.conf "$@"
}
must start_tpm
must sealtool init
must sealtool key new --type hmac --pcrs sha256:7 -o k1.key
printf '%s\n' 'cluster = prod' 'key = k1.key' "listen = unix://$sock" >kms.conf
pid=
# shellcheck disable=SC2016 # for later
at_exit '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null'

it 'says that nobody is there, and what to do'
check
expect_status 9
expect_err "cannot connect to $sock"
expect_err 'systemctl status kms-shim'
expect_one_line

"$shim" --config kms.conf -v >shim.out 2>shim.log &
pid=$!
must tpm_wait_for grep -q 'debug: ready' shim.log

it 'tells what a shim that is well answers'
check
expect_status 0
expect_no_err
for step in status encrypt decrypt; do
	expect_out "$step"
done
must sealtool key show --cluster prod --json k1.key
key_id=$(json 'j["keyId"]')
hash=$(json 'j["keyIdHash"]')
check
expect_out "key_id   $key_id"
expect_out "metrics  $hash"
expect_out "this machine's TPM alone"
check --json
expect_status 0
expect_json 'j["status"]' ok
expect_json 'j["keyId"]' "$key_id"
expect_json 'j["keyIdHash"]' "$hash"
expect_json 'sorted(j["microseconds"])' '["decrypt", "encrypt", "status"]'
expect_json 'all(0 < v < 5000000 for v in j["microseconds"].values())' true
expect_json '"alone" in j["note"]' true
check --status-only --json
expect_status 0
expect_json 'sorted(j["microseconds"])' '["status"]'

it 'names the PCR when the state is not the one'
must tpm2_pcrextend "7:sha256=$(printf '%064d' 7)"
sleep 1.1
check
expect_status 3
expect_err 'status: '
expect_err 'PCR 7 (sha256)'
expect_out 'FAIL'
expect_out 'FAILED_PRECONDITION'
check --json
expect_status 3
expect_json 'j["code"]' FAILED_PRECONDITION
expect_json '"PCR 7" in j["message"]' true
must reset_tpm

it 'says so when the TPM is not there'
tpm_off
sleep 1.1
check
expect_status 4
expect_err 'TPM'
must tpm_on
sleep 1.1
check
expect_status 0

it 'finds that nobody answers a socket that was left'
kill -KILL "$pid"
wait "$pid" 2>/dev/null
pid=
expect 'it is there' test -S "$sock"
check
expect_status 9

it 'wants a configuration, a socket in it, and a timeout that is one'
run "$shim" check
expect_status 2
expect_err '--config'
run "$shim" check --config nothing.conf
expect_status 2
sed '/^listen/d' kms.conf >no-listen.conf
run "$shim" check --config no-listen.conf
expect_status 2
expect_err 'listen'
for bad in 0 -1 x 1x 99999; do
	check --timeout "$bad"
	expect_status 2
done

# peer WHAT STATUS [WORDS]: what check says to such a peer
peer() {
	rm -f "$sock"
	"$python" "$tools/kms-peer.py" "$sock" "$1" 2>peer.log &
	peer=$!
	tpm_wait_for test -S "$sock" || wrong 'no peer'
	begun=$(date +%s)
	check --timeout 2
	expect_status "$2"
	[ -z "${3-}" ] || expect_err "$3"
	expect_one_line
	expect "in time: $1" test $(($(date +%s) - begun)) -le 6
	kill "$peer"
	wait "$peer" 2>/dev/null
}
it 'does not believe whoever answers'
peer other-plaintext 5 'something else came back'
peer other-key 11 'rotation'
peer no-key 5 'no key_id'
peer long-key 5 'key_id has 1024 bytes'
peer long-ciphertext 5 1025
peer slash 5 'annotation'
peer unhealthy 9 sealed
peer version 5 v9
peer not-protobuf 5
peer two-messages 5
peer huge 5

it 'tells other errors apart'
peer permission 8 'no'
peer exhausted 11 'no ??'
peer internal 9
peer reset 9 'reset'
peer no-status 5 gRPC
peer bad-status 5 grpc-status
peer http-500 5 gRPC
peer many-headers 5 'too many header fields'

it 'ends in time with whoever does not answer'
peer silent 9 'no answer in time'
peer settings 9 'no answer in time'
peer slow 9 'no answer in time'
peer closes 9 closed
peer bytes 5 'HTTP/2'
peer endless 9 'no answer in time'
done_testing
