#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A key whose states an operator approves: updates without rotation, approvals that come while the shim runs, and
# those that are none. The drills of kubetpm-kms(7).
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
umask 022
shim=$STAGE/usr/libexec/kubetpm/kms-shim
sock=$dir/kms.sock
python=$(python_with 'grpc')
client() {
	"$python" "$tools/kms-client.py" "$sock" "$@"
}
digest=$(printf kubetpm | sha256sum | cut -d' ' -f1)
zeros=$(printf '%064d' 0)
# PCR that was zero, extended once with SHA-256 of "kubetpm"; and once more
extended=d21c0189a637554aa4872c30311363c9a00e8eb8bc7331f2ec4df0789c5e9cc7
twice=$(printf %s%s "$extended" "$digest" | xxd -r -p | sha256sum | cut -d' ' -f1)

must start_tpm
must sealtool init
printf 'correct horse\n' >pass
printf 'wrong\n' >wrong-pass
chmod 600 pass wrong-pass

it 'policy new-key makes a key that opens with its passphrase alone'
run sealtool policy new-key --passphrase-file pass -o policy.pem --pub policy.pub
expect_status 0
expect 'encrypted' grep -q 'BEGIN ENCRYPTED PRIVATE KEY' policy.pem
expect 'for its owner alone' test "$(stat -c %a policy.pem)" = 600
expect 'with scrypt' sh -c 'openssl asn1parse -in policy.pem | grep -q scrypt'
expect 'the same key' sh -c \
	'openssl pkey -in policy.pem -passin file:pass -pubout | cmp -s - policy.pub'
run sealtool policy new-key --passphrase-file pass -o policy.pem --pub other.pub
expect_status 8
run sealtool policy new-key --no-passphrase -o other.pem --pub policy.pub
expect_status 8
expect 'nothing was written' test ! -e other.pem
run sealtool policy new-key --no-passphrase -o other.pem --pub other.pub
expect_status 0
expect 'in clear' grep -q 'BEGIN PRIVATE KEY' other.pem

it 'key new --policy-key makes a key that works in no state yet'
run sealtool key new --type hmac --policy-key policy.pub -o k1.key
expect_status 0
expect_err 'policy sign --for'
run sealtool key show --json k1.key
expect_status 0
uuid=$(json 'j["uuid"]')
signer=$(json 'j["signer"]')
expect_json 'j["states"]' '[]'
run sealtool key new --type hmac --policy-key policy.pub --pcrs sha256:7 -o k2.key
expect_status 2
run sealtool key new --type hmac --policy-key policy.pem -o k2.key
expect_status 8
expect_err 'private'

# approve FILE SELECTION [OPTION...]: signs a state for k1.key
approve() {
	approve_file=$1
	approve_state=$2
	shift 2
	must sealtool policy sign --key policy.pem --passphrase-file pass --for k1.key \
		--pcrs "$approve_state" -o "$approve_file" "$@"
}

it 'policy sign wants the whole state, the right key and the right passphrase'
run sealtool policy sign --key policy.pem --passphrase-file wrong-pass --for k1.key \
	--pcrs "sha256:7=$zeros" -o a.json
expect_status 6
run sealtool policy sign --key policy.pem --passphrase-file pass --for k1.key --pcrs sha256:7 -o a.json
expect_status 2
expect_err 'needs its value'
run sealtool policy sign --key other.pem --for k1.key --pcrs "sha256:7=$zeros" -o a.json
expect_status 8
expect_err 'another signing key'
must sealtool key new --type hmac --pcrs sha256:7 -o literal.key
run sealtool policy sign --key other.pem --for literal.key --pcrs "sha256:7=$zeros" -o a.json
expect_status 2
run sealtool policy sign --key other.pem --for nothing.key --pcrs "sha256:7=$zeros" -o a.json
expect_status 2
expect 'nothing was written' test ! -e a.json

it 'policy show and verify tell what an approval says'
must sealtool pcrs --pcrs sha256:7 --json
cp "$out" now.json
run sealtool policy sign --key policy.pem --passphrase-file pass --for "$uuid" --for-pcrs now.json \
	--comment 'as "installed"' -o 1.json
expect_status 0
run sealtool policy show 1.json
expect_out "for:        $uuid"
expect_out "signer:     $signer"
expect_out "PCR:        sha256:7 $zeros"
expect_out 'as "installed"'
run sealtool policy show --json 1.json
expect_json 'j["approvals"][0]["approval"]["pcrs"]["sha256"]["7"]' "$zeros"
run sealtool policy verify --pub policy.pub --for k1.key 1.json
expect_status 0
expect_out "1.json: ok, for $uuid"
run sealtool policy verify --pub other.pub 1.json
expect_status 14
expect_err 'signed by another key'
run sealtool policy verify --pub policy.pub --for 00000000-0000-4000-8000-000000000000 1.json
expect_status 14
run sealtool policy verify --pub policy.pub --json 1.json
expect_json 'j["approvals"][0]["verdict"]' ok

it 'an approval that was changed is found out'
change() {
	python3 -c '
import json, sys
j = json.load(open("1.json"))
exec(sys.argv[1])
json.dump(j, open("bad.json", "w"))' "$1"
	run sealtool policy verify --pub policy.pub bad.json
}
change 'j["key"] = "00000000-0000-4000-8000-000000000000"'
expect_status 14
change 'j["signature"] = "A" + j["signature"][1:] if j["signature"][0] != "A" else "B" + j["signature"][1:]'
expect_status 14
change "j['pcrs']['sha256']['7'] = '$extended'"
expect_status 5
expect_err 'was changed'
change 'j["policy"] = "00" * 32'
expect_status 5
for edit in 'j["x"] = 1' 'j["version"] = 2' 'j["kind"] = "x"' 'del j["signature"]' 'j["signature"] = "AA"' \
	'j["pcrs"] = {}' 'j["signer"] = "00"' 'j["key"] = "x"' 'j["created"] = "yesterday"'; do
	change "$edit"
	expect_status 5
done
# What is no part of the policy is not signed, and says nothing.
change 'j["comment"] = "other"'
expect_status 0

it 'the TPM computes the same policy, and tpm2-tools takes the approval'
must tpm2_startauthsession --policy-session -S session
must tpm2_policypcr -S session -l sha256:7 -L approved
must tpm2_flushcontext session
expect 'the same approved policy' test "$(xxd -p -c 64 approved)" = "$(json 'j["policy"]' 1.json)"
must tpm2_loadexternal -C o -G ecc -u policy.pub -a 'sign|userwithauth' -c signer.ctx -n signer.name
expect 'the same Name' test "$(xxd -p -c 99 signer.name)" = "$signer"
printf %s "$uuid" >ref
cat approved ref >signed
python3 -c '
import base64, json, sys
s = json.load(open("1.json"))["signature"]
sys.stdout.buffer.write(base64.urlsafe_b64decode(s + "=="))' >raw
python3 -c '
raw = open("raw", "rb").read()
open("sig", "wb").write(bytes.fromhex("0018000b0020") + raw[:32] + bytes.fromhex("0020") + raw[32:])'
must tpm2_verifysignature -c signer.ctx -g sha256 -m signed -s sig -t ticket
must tpm2_startauthsession -S session
must tpm2_policyauthorize -S session -i approved -n signer.name -q ref -t ticket -L authorized
must tpm2_flushcontext session
flush_tpm

conf() {
	printf '%s\n' 'cluster = prod' "listen = unix://$sock" "tcti = $KUBETPM_TCTI" "$@" >kms.conf
}
pid=
start() {
	: >shim.log
	"$shim" --config kms.conf -v >shim.out 2>shim.log &
	pid=$!
	must tpm_wait_for grep -qE 'debug: ready|not ready' shim.log
}
stop() {
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	pid=
}
# shellcheck disable=SC2016 # for later
at_exit '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null'
healthy() {
	client status >/dev/null 2>&1
}

it 'kms-shim wants to know where approvals are'
conf 'key = k1.key'
run "$shim" --config kms.conf
expect_status 2
expect_err 'policy-dir'
conf 'key = k1.key' 'policy-dir = approvals'
run "$shim" --config kms.conf
expect_status 2
expect_err 'approvals'

it 'without an approval it serves refusals, and says what to do'
mkdir approvals
start
run client status
expect_status 1
expect_err FAILED_PRECONDITION
expect_err "policy sign --for $uuid"
run client encrypt u1 00ff
expect_status 1
expect_err FAILED_PRECONDITION

it 'takes an approval that is put there, without being told'
cp 1.json approvals/
must tpm_wait_for healthy
run client encrypt u1 00ff
expect_status 0
cp "$out" made.json
key_id=$(json 'j["key_id"]')
run client decrypt u2 made.json
expect_out 00ff

it 'goes on through an update that was approved before: no rotation, no restart'
approve approvals/2.json "sha256:7=$extended"
must tpm2_pcrextend "7:sha256=$digest"
run client decrypt u3 made.json
expect_out 00ff
run client encrypt u4 0a0b
expect_status 0
cp "$out" made2.json
expect_json 'j["key_id"]' "$key_id"
must reset_tpm
run client decrypt u5 made2.json
expect_out 0a0b

it 'stops when nobody approved the state, names the PCR, and goes on when somebody does'
must tpm2_pcrextend "7:sha256=$digest"
must tpm2_pcrextend "7:sha256=$digest"
sleep 1.1
run client status
expect_status 1
expect_err FAILED_PRECONDITION
expect_err 'PCR 7 (sha256)'
expect_err "$twice"
expect_err 'none of the other approvals'
run client decrypt u6 made.json
expect_status 1
approve late.json "sha256:7=$twice"
cp late.json approvals/3.json
must tpm_wait_for healthy
run client decrypt u7 made.json
expect_out 00ff

it 'forgets an approval that is taken away, and takes it again'
rm approvals/3.json
run client decrypt u7 made.json
expect_status 1
expect_err FAILED_PRECONDITION
run client encrypt u7 0e
expect_status 1
cp late.json approvals/3.json
run client decrypt u7 made.json
expect_out 00ff

it 'passes over what is no approval for it, and says so once'
rm approvals/3.json
kill -HUP "$pid"
must tpm_wait_for grep -q 'debug: reloaded' shim.log
run client decrypt u8 made.json
expect_status 1
other=$(must sealtool key show --json literal.key && json 'j["uuid"]')
must sealtool policy sign --key policy.pem --passphrase-file pass --for "$other" \
	--pcrs "sha256:7=$twice" -o approvals/for-another.json
must sealtool policy sign --key other.pem --for "$uuid" --pcrs "sha256:7=$twice" \
	-o approvals/by-another.json
python3 -c '
import json
j = json.load(open("late.json"))
j["signature"] = ("B" if j["signature"][0] == "A" else "A") + j["signature"][1:]
json.dump(j, open("approvals/forged.json", "w"))
s = open("late.json").read()
open("approvals/half.json", "w").write(s[:len(s) // 2])
open("approvals/.hidden.json", "w").write(s)
open("approvals/not-json.txt", "w").write(s)'
mkfifo approvals/pipe.json
sleep 2.5
run client status
expect_status 1
run client decrypt u9 made.json
expect_status 1
expect_err FAILED_PRECONDITION
for file in forged half pipe; do
	expect "$file.json is told of once" test "$(grep -c "passed over: .*/$file.json" shim.log)" -eq 1
done
for file in for-another by-another; do
	expect "$file.json is not" sh -c "! grep -q $file shim.log"
done
rm approvals/pipe.json
stop
expect_status 0
expect 'nothing is left in the TPM' test "$(tpm_leftovers)" = 0

it 'rotates between kinds of keys, and reads what each made'
must reset_tpm
conf 'key = literal.key' 'old-key = k1.key' 'policy-dir = approvals'
start
run client decrypt u10 made.json
expect_out 00ff
run client encrypt u11 0c
cp "$out" made3.json
conf 'key = k1.key' 'epoch = 1' 'old-key = k1.key 0' 'old-key = literal.key' 'policy-dir = approvals'
kill -HUP "$pid"
must tpm_wait_for grep -q 'debug: reloaded' shim.log
for file in made made2 made3; do
	run client decrypt u12 $file.json
	expect_status 0
done
run client encrypt u13 0d
expect 'another key_id' test "$(json 'j["key_id"]')" != "$key_id"
stop

it 'once warm, an operation takes four TPM commands'
conf 'key = k1.key' 'policy-dir = approvals'
sed -i '/^tcti/d' kms.conf # it would go past what counts
plaintext=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
encrypts() {
	yes "{\"method\":\"Encrypt\",\"uid\":\"e\",\"plaintext\":\"$plaintext\"}" | head -n "$1" >many
	run "$tools/count-tpm-commands" --names --output many.out "$shim" --config kms.conf \
		--stdio <many
	expect_status 0
	expect 'every request was answered' test "$(grep -c ciphertext many.out)" -eq "$1"
	count=$(head -n 1 "$out")
}
encrypts 1
once=$count
encrypts 11
expect "$count commands, after $once" test "$((count - once))" -eq 40
expect 'the signature was looked at twice: for the pepper, and for the key' \
	test "$(grep -c VerifySignature "$out")" -eq 2

it 'a key file whose signer was exchanged is refused'
sed "s/^Policy-Signer: .*/Policy-Signer: $(openssl pkey -pubin -in other.pub -outform DER |
	tail -c 64 | xxd -p -c 128)/" k1.key >swapped.key
run sealtool key show swapped.key
expect_status 5
expect_err 'was changed'
sed 's/^Policy-Signer: ....../Policy-Signer: 000000/' k1.key >swapped.key
run sealtool key show swapped.key
expect_status 5
done_testing
