#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kms-tpm behind kms-shim --stdio: records, the machine's state, a TPM that forgets, and `sealtool key`.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

# shellcheck source-path=SCRIPTDIR/../tools source=stdio-shim.sh
. "$(dirname "$0")/../tools/stdio-shim.sh"
[ -x "$kms_shim" ] || skip_all 'kms-shim is not built'
digest=$(printf kubetpm | sha256sum | cut -d' ' -f1)
zeros=$(printf '%064d' 0)
# PCR that was zero, extended once with SHA-256 of "kubetpm"
extended=d21c0189a637554aa4872c30311363c9a00e8eb8bc7331f2ec4df0789c5e9cc7

must start_tpm
must sealtool init
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out rec.pem 2>/dev/null
openssl pkey -in rec.pem -pubout -out rec.pub

# conf NAME LINE...: a kms.conf
conf() {
	conf_name=$1
	shift
	printf '%s\n' 'module = kms-tpm' 'cluster = prod' "$@" >"$conf_name"
	chmod 600 "$conf_name"
}

encrypt() {
	ask "{\"method\":\"Encrypt\",\"uid\":\"e\",\"plaintext\":\"$plaintext\"}"
}
# decrypt FILE [EDIT]: a record as Encrypt replied it; EDIT changes `j` before
decrypt() {
	ask "$(python3 -c '
import base64, json, sys
j = json.load(open(sys.argv[1], encoding="utf-8"))
def flip(text):
    b = bytearray(base64.b64decode(text))
    b[len(b) // 2] ^= 1
    return base64.b64encode(b).decode()
exec(sys.argv[2])
print(json.dumps(dict(j, method="Decrypt", uid="d")))' "$1" "${2-}")"
}
# expect_refused CODE: an error reply, and no plaintext
expect_refused() {
	expect 'no plaintext' sh -c "! grep -q plaintext '$out'"
	expect_out "$1"
}
expect_clean() {
	expect 'an object or a session was left in the TPM' test "$(tpm_leftovers)" = 0
}

it 'key new makes a key file, and says what will be lost'
run sealtool key new --type hmac --pcrs sha256:7 -o k1.key
expect_status 0
expect_no_out
expect_err 'what it encrypted is lost'
expect_clean
must sealtool key new --type hmac --pcrs sha256:7 -o k0.key
expect 'two keys differ' sh -c "! cmp -s k0.key k1.key"
expect 'its first block is what other tools read' \
	sh -c "sed -n '/BEGIN/,/END/p;/END/q' k1.key | sed '1d;\$d' | base64 -d | openssl asn1parse -inform DER | grep -q 2.23.133.10.1.3"

it 'key new never replaces a key, and wants to be told to what state'
cp k1.key before
run sealtool key new --type hmac --pcrs sha256:7 -o k1.key
expect_status 8
expect_err 'k1.key'
expect 'the file is the old one' cmp before k1.key
run sealtool key new --type hmac -o x.key
expect_status 2
run sealtool key new --type rsa --pcrs sha256:7 -o x.key
expect_status 2
run sealtool key new --type hmac --pcrs sha256:7
expect_status 2
expect 'nothing was written' test ! -e x.key

it 'key list and show tell what a key file says'
mkdir keys
cp k0.key k1.key keys
: >keys/other.txt
run sealtool key list keys
expect_status 0
expect 'a line a key' test "$(grep -c '' "$out")" -eq 2
expect_out 'sha256:7  keys/k0.key'
run sealtool key show --json --cluster prod k1.key
expect_status 0
expect_json 'j["states"][0]["sha256"]["7"]' "$zeros"
expect_json 'j["uuid"]' "$(sed -n 's/Key-UUID: //p' k1.key)"
key_id=$(json 'j["keyId"]')
expect_json 'j["keyIdHash"]' "sha256:$(printf %s "$key_id" | sha256sum | cut -d' ' -f1)"
run sealtool key show --json --cluster prod --epoch 1 k1.key
expect 'an epoch has its own key_id' test "$(json 'j["keyId"]')" != "$key_id"
run sealtool key show --cluster prod k1.key
expect_out "$key_id"
run sealtool key list --json k0.key k1.key
expect_json 'len(j["keys"])' 2

it 'a changed key file is refused'
for edit in 's/^Parent-Name: 000b/Parent-Name: 000c/' 's/^PCRs: sha256:7=0/PCRs: sha256:7=1/' \
	'/^Key-UUID/d' '/^PCRs/d' '/^PCRs/p' 's/^PCRs/Pcrs/' s/END/end/ 's/^Key-UUID: ./Key-UUID: X/'; do
	sed "$edit" k1.key >bad.key
	run sealtool key show bad.key
	expect_status 5
	expect_one_line
done
{
	cat k1.key
	echo more
} >bad.key
run sealtool key show bad.key
expect_status 5
conf bad.conf 'key = bad.key'
run "$kms_shim" --config bad.conf --stdio </dev/null
expect_status 5
expect_err bad.key

it 'what was encrypted is decrypted'
conf kms.conf 'key = k1.key'
start_shim kms.conf
ask '{"method":"Status"}'
expect_json 'j["keyId"]' "$key_id"
encrypt
cp "$out" record
expect_json 'j["keyId"]' "$key_id"
expect_json 'list(j["annotations"])' '["id.kubetpm.internal"]'
decrypt record
expect_plaintext
encrypt
expect 'two records of one plaintext have nothing in common' \
	sh -c "! grep -qF '$(json 'j["ciphertext"]' record)' '$out'"

it 'a record that was changed is refused'
for edit in 'j["ciphertext"] = flip(j["ciphertext"])' 'j["ciphertext"] = j["ciphertext"][:40]' \
	'a = j["annotations"]; a["id.kubetpm.internal"] = flip(a["id.kubetpm.internal"])' \
	'a = j["annotations"]; a["id.kubetpm.internal"] = "AAAA"' \
	'j["annotations"]["other.kubetpm.internal"] = "AAAA"' \
	'j["annotations"]["recovery.kubetpm.internal"] = "AAAA"' \
	'j["annotations"] = {}'; do
	decrypt record "$edit"
	expect_refused PERMISSION_DENIED
done
decrypt record 'j["keyId"] = "sha256:" + "0" * 64'
expect 'no plaintext' sh -c "! grep -q plaintext '$out'"
decrypt record
expect_plaintext

it 'others use the same TPM meanwhile'
printf secret >plain
run sealtool seal --name t --purpose x -o t.sealed <plain
expect_status 0
run sealtool unseal t.sealed
expect_out_is secret
decrypt record
expect_plaintext

it 'objects and sessions that were flushed by somebody are made anew'
flush_tpm
decrypt record
expect_plaintext
encrypt
cp "$out" record2
flush_tpm
encrypt
decrypt record2
expect_plaintext

it 'a TPM reset does no harm'
must reset_tpm 3>&-
decrypt record
expect_plaintext
must reset_tpm 3>&-
encrypt
cp "$out" record2
decrypt record2
expect_plaintext
ask '{"method":"Status"}'
expect_json 'j["keyId"]' "$key_id"

it 'without a TPM the answer is unavailable, and it comes back by itself'
tpm_off
decrypt record
expect_refused UNAVAILABLE
encrypt
expect_out UNAVAILABLE
must tpm_on 3>&-
decrypt record
expect_plaintext

it 'a PCR that changed stops all of it, and is named'
must tpm2_pcrextend "7:sha256=$digest"
sleep 1.1
ask '{"method":"Status"}'
expect_out FAILED_PRECONDITION
expect_out 'PCR 7'
expect_out "$zeros"
encrypt
expect_out FAILED_PRECONDITION
expect_out 'PCR 7'
expect 'no ciphertext' sh -c "! grep -q ciphertext '$out'"
decrypt record
expect_refused FAILED_PRECONDITION
expect_out 'PCR 7'

it 'with the same boot again it works again, without a restart'
must reset_tpm 3>&-
decrypt record
expect_plaintext
sleep 1.1
ask '{"method":"Status"}'
expect_json 'j["keyId"]' "$key_id"

it 'an unrelated PCR that changes does not matter'
must tpm2_pcrextend "16:sha256=$digest"
decrypt record
expect_plaintext
stop_shim
expect_status 0
expect_clean

it 'a key whose state is not there is served with refusals'
must tpm2_pcrextend "7:sha256=$digest"
start_shim kms.conf
ask '{"method":"Status"}'
expect_out FAILED_PRECONDITION
expect_out 'PCR 7'
decrypt record
expect_refused FAILED_PRECONDITION
expect_err 'cannot be used now'
must reset_tpm 3>&-
decrypt record
expect_plaintext
stop_shim
expect_clean

it 'after a restart the records still open, those of the old key too'
conf rotated.conf 'key = k0.key' 'old-key = k1.key'
start_shim rotated.conf
decrypt record
expect_plaintext
encrypt
cp "$out" record0
expect 'the new key has another key_id' sh -c "! grep -qF '$key_id' '$out'"
decrypt record2
expect_plaintext
decrypt record0
expect_plaintext
decrypt record0 "j['keyId'] = '$key_id'"
expect_refused PERMISSION_DENIED
stop_shim
expect_status 0
expect_clean

it 'another cluster of the same key opens nothing'
conf other.conf 'key = k1.key'
sed -i 's/^cluster.*/cluster = test/' other.conf
start_shim other.conf
ask '{"method":"Status"}'
other_id=$(json 'j["keyId"]')
expect 'another key_id' test "$other_id" != "$key_id"
decrypt record "j['keyId'] = '$other_id'"
expect_refused PERMISSION_DENIED
stop_shim

it 'a recovery key goes with each record, and cannot be changed'
conf rec.conf 'key = k1.key' 'recovery = rec.pub'
start_shim rec.conf
encrypt
cp "$out" record3
expect_json 'sorted(j["annotations"])' '["id.kubetpm.internal", "recovery.kubetpm.internal"]'
decrypt record3
expect_plaintext
decrypt record
expect_plaintext
for edit in 'a = j["annotations"]; a["recovery.kubetpm.internal"] = flip(a["recovery.kubetpm.internal"])' \
	'del j["annotations"]["recovery.kubetpm.internal"]'; do
	decrypt record3 "$edit"
	expect_refused PERMISSION_DENIED
done
stop_shim

it 'a private key as recovery key is refused'
conf wrong.conf 'key = k1.key' 'recovery = rec.pem'
run "$kms_shim" --config wrong.conf --stdio </dev/null
expect_status 8
expect_err rec.pem

it 'a recovery key that others could replace is refused'
cp rec.pub shared.pub
chmod 666 shared.pub
conf wrong.conf 'key = k1.key' 'recovery = shared.pub'
run "$kms_shim" --config wrong.conf --stdio </dev/null
expect_status 8
expect_err 'shared.pub can be written by others'

it 'once warm, an operation takes three TPM commands, and four with several states'
must sealtool key new --type hmac --pcrs "sha256:7=$extended" --pcrs sha256:7 -o or.key
conf or.conf 'key = or.key'
# encrypts CONF N: prints how many TPM commands N Encrypts took
encrypts() {
	yes "{\"method\":\"Encrypt\",\"uid\":\"e\",\"plaintext\":\"$plaintext\"}" | head -n "$2" >many
	run "$tools/count-tpm-commands" --names --output many.out "$kms_shim" --config "$1" --stdio <many
	expect_status 0
	expect 'every request was answered' test "$(grep -c ciphertext many.out)" -eq "$2"
	count=$(head -n 1 "$out")
}
for c in kms.conf:30 or.conf:40; do
	encrypts "${c%:*}" 1
	once=$count
	encrypts "${c%:*}" 11
	expect "$(tail -n 14 "$out")" test "$((count - once))" -eq "${c#*:}"
done
printf '%s\n' '{"method":"Status"}' >many
run "$tools/count-tpm-commands" --names --output many.out "$kms_shim" --config kms.conf --stdio <many
expect 'Status reads PCRs at most once' test "$(grep -c PCR_Read "$out")" -le 1

# through_proxy WHAT N: kms-shim on the two requests in ./many, with something between it and the TPM
# that does WHAT to command N. The commands go to $out.
through_proxy() {
	"$tools/tpm-proxy.py" "$tpm_dir/tpm" "$tpm_dir/slow" "$1" "$2" >"$tpm_dir/proxy.log" 2>&1 &
	proxy=$!
	tpm_wait_for test -S "$tpm_dir/slow"
	KUBETPM_TCTI=swtpm:path=$tpm_dir/slow run "$tools/count-tpm-commands" --names --output many.out \
		"$kms_shim" --config kms.conf --stdio <many
	kill "$proxy" 2>/dev/null
	wait "$proxy" 2>/dev/null
	rm -f "$tpm_dir/slow" "$tpm_dir/slow.ctrl"
}
# Of the requests in ./many the first opens `record`, the second encrypts.
expect_both_answered() {
	expect_status 0
	expect 'the first has its plaintext' sh -c "sed -n 1p many.out | grep -qF '$plaintext'"
	expect 'the second has its ciphertext' sh -c "sed -n 2p many.out | grep -q ciphertext"
}
{
	python3 -c 'import json; print(json.dumps(dict(json.load(open("record")), method="Decrypt", uid="d")))'
	echo "{\"method\":\"Encrypt\",\"uid\":\"e\",\"plaintext\":\"$plaintext\"}"
} >many

it 'a PCR extended between PolicyPCR and HMAC only takes a PolicyRestart'
# Opening takes six commands; then StartAuthSession, Load, PolicyPCR, and PolicyCommandCode, which waits.
(sleep 1.5 && tpm2_pcrextend "0:sha256=$digest" >/dev/null 2>&1) &
through_proxy 3 10
wait $!
expect_both_answered
expect 'the HMAC was refused once' test "$(grep -c 'HMAC 0x128' "$out")" -eq 1
expect 'and the policy restarted' test "$(grep -c 'PolicyRestart 0x0' "$out")" -eq 1
expect_clean

it 'an answer that is garbage is got over'
for n in 8 9 10 11 12; do
	through_proxy garbage "$n"
	expect_both_answered
done
flush_tpm

it 'a key for several states works in each of them, and in no other'
rm or.key
run sealtool key new --type hmac --pcrs "sha256:7=$extended" --pcrs sha256:7 -o or.key
expect_status 0
expect_err 'one of its states'
run sealtool key show --json or.key
expect_json '[s["sha256"]["7"] for s in j["states"]]' "[\"$extended\", \"$zeros\"]"
start_shim or.conf
encrypt
cp "$out" record5
must tpm2_pcrextend "7:sha256=$digest"
decrypt record5
expect_plaintext
sleep 1.1
ask '{"method":"Status"}'
expect_out '"ok"'
must tpm2_pcrextend "7:sha256=$digest"
decrypt record5
expect_refused FAILED_PRECONDITION
expect_out 'PCR 7'
expect_out 'none of the other states'
stop_shim
must reset_tpm
must tpm2_pcrextend "7:sha256=$digest"
start_shim or.conf
decrypt record5
expect_plaintext
stop_shim
expect_clean
must reset_tpm

it 'a signal leaves nothing behind'
start_shim kms.conf
encrypt
expect_out ciphertext
kill -TERM "$shim"
stop_shim
expect_clean

it 'through a resource manager'
first=$tpm_dir
if must start_abrmd; then
	start_shim kms.conf
	decrypt record
	expect_plaintext
	encrypt
	cp "$out" record4
	kill -9 "$shim"
	stop_shim
	start_shim kms.conf
	decrypt record4
	expect_plaintext
	stop_shim
	expect_status 0
fi
stop_abrmd

it "another machine's key is refused, with its own exit status"
must start_tpm
must sealtool init
run "$kms_shim" --config kms.conf --stdio </dev/null
expect_status 10
expect_err 'k1.key'
expect_clean
use_tpm "$first"

it 'a key whose file says the right parent, but is of another TPM, is refused'
name=$(sed -n 's/Parent-Name: //p' k1.key)
must start_tpm
must sealtool init
must sealtool key new --type hmac --pcrs sha256:7 -o far.key
use_tpm "$first"
sed "s/^Parent-Name: .*/Parent-Name: $name/" far.key >liar.key
chmod 600 liar.key
conf liar.conf 'key = liar.key'
run "$kms_shim" --config liar.conf --stdio </dev/null
expect 'status 5 or 10' sh -c "case $status in 5|10) ;; *) false ;; esac"
expect_err liar.key
expect_clean

done_testing
