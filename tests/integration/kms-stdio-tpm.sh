#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# kms-shim --stdio with a key in a TPM, as a user types it: make, use, rotate, restart, and what a changed
# state does to it.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$tools/swtpm.sh"
umask 022
kms_shim=$STAGE/usr/libexec/kubetpm/kms-shim
[ -e "$STAGE/usr/lib/kubetpm/kms-tpm.so" ] || skip_all 'no module kms-tpm'
at_exit stop_tpm
start_tpm || exit 99
must sealtool init
ping='{"method":"Status"}'
encrypt='{"method":"Encrypt","uid":"u1","plaintext":"aGVsbG8="}'
conf() {
	{
		echo 'cluster = prod'
		cat
	} >kms.conf
}
ask() {
	printf '%s\n' "$@" >requests
	run "$kms_shim" --config kms.conf --stdio <requests
}
line() {
	sed -n "$1p" "$out" >reply
	echo reply
}
decrypt() {
	json 'json.dumps({**j, "method": "Decrypt", "uid": "u2"})' "$1"
}
must tpm2_pcrextend 7:sha256=1111111111111111111111111111111111111111111111111111111111111111
must sealtool key new --type hmac --pcrs sha256:7 -o k1.key
must sealtool key new --type hmac --pcrs sha256:7 -o k2.key

it 'opens what it encrypted, also after a restart of either side'
echo 'key = k1.key' | conf
ask "$ping" "$encrypt"
expect_status 0
first_id=$(json "j['keyId']" "$(line 1)")
expect_json "j['keyId']" "$first_id" "$(line 2)"
cp reply first
ask "$(decrypt first)"
expect_out_is '{"plaintext":"aGVsbG8="}
'
reset_tpm
must tpm2_pcrextend 7:sha256=1111111111111111111111111111111111111111111111111111111111111111
ask "$(decrypt first)"
expect_out_is '{"plaintext":"aGVsbG8="}
'
expect_no_err

it 'prints the key_id that sealtool prints'
run sealtool key show --cluster prod --json k1.key
expect_status 0
expect_out "$first_id"

it 'rotates'
printf 'key = k2.key\nold-key = k1.key\n' | conf
ask "$ping" "$encrypt" "$(decrypt first)"
expect_status 0
second_id=$(json "j['keyId']" "$(line 1)")
expect 'another key_id' [ "$second_id" != "$first_id" ]
expect_json "j['keyId']" "$second_id" "$(line 2)"
cp reply second
expect_json "j['plaintext']" aGVsbG8= "$(line 3)"

it 'gives no record to another key'
ask "$(json 'json.dumps({**j, "method": "Decrypt", "keyId": "'"$second_id"'"})' first)"
expect_json "j['error']['code']" PERMISSION_DENIED

it 'leaves nothing in the TPM, however it ends'
mkfifo fifo
"$kms_shim" --config kms.conf --stdio <fifo >replies 2>errors &
pid=$!
exec 3>fifo
decrypt first >&3
for _ in $(seq 100); do
	[ ! -s replies ] || break
	sleep 0.05
done
kill -TERM "$pid"
wait "$pid"
exec 3>&-
expect 'one reply' grep -q aGVsbG8= replies
expect 'nothing is left' [ "$(tpm_leftovers)" = 0 ]

it 'fails closed when a PCR changes, and says which'
must tpm2_pcrextend 7:sha256=2222222222222222222222222222222222222222222222222222222222222222
ask "$ping" "$encrypt" "$(decrypt first)" "$(decrypt second)"
expect_status 0
for n in 1 2 3 4; do
	expect_json "j['error']['code']" FAILED_PRECONDITION "$(line $n)"
	expect_json "'PCR 7' in j['error']['message']" true reply
done
reset_tpm
must tpm2_pcrextend 7:sha256=1111111111111111111111111111111111111111111111111111111111111111
ask "$(decrypt first)" "$(decrypt second)"
expect_out_is '{"plaintext":"aGVsbG8="}
{"plaintext":"aGVsbG8="}
'

it 'says so when the TPM is not there'
stop_tpm
ask "$ping"
expect_status 4
expect_one_line
expect_no_out

done_testing
