#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Each way to use a key and hide it, really gone by root on a software TPM, and what audit-verify says. The log is put
# back after each, so that each is judged alone.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=stdio-shim.sh
. "$(dirname "$0")/../tools/stdio-shim.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=audit.sh
. "$(dirname "$0")/../tools/audit.sh"

must start_tpm
# shellcheck disable=SC2119 # no options
audit_set_up
make_ca
start_shim audited.conf
encrypt e-1
cp "$out" made.json
decrypt d-1 made.json
expect_plaintext
stop_shim
must sealtool audit checkpoint --log audit.log
zeros=$(printf '%064d' 0)

raw() {
	run "$tools/tpm-raw.py" "$tpm_dir/tpm" "$@"
}
checkpoint() {
	must sealtool audit checkpoint --log audit.log --nonce 77
}
# An attack begins with an honest log; what it leaves in the TPM's digest is attested into its own copy.
attack() {
	it "$1"
	checkpoint
	cp audit.log honest.log
	start_shim audited.conf
	decrypt d-x made.json
	expect_plaintext
}
# unlogged: a Decrypt of root's own
unlogged() {
	stop_shim
	start_shim plain.conf
	decrypt hidden made.json
	expect_plaintext
	stop_shim
}
# caught STATUS ID...: what audit-verify says; then an honest log stands there again, and the TPM's digest is empty
caught() {
	caught_status=$1
	shift
	verify --ak ak.pub audit.log
	expect_status "$caught_status"
	expect_only "$@"
}
# A log that goes on from here: later files can be verified from where they begin.
fresh_log() {
	rm -f audit.log
	must sealtool audit init --log audit.log --ak-out ak.pub
}

it 'the honest log is complete'
verify --ak ak.pub audit.log
expect_complete

attack 'the key is used without a line'
unlogged
checkpoint
caught 14 digest
expect_out 'counted other uses'

fresh_log
attack 'another program uses TPM2_Sign with a key of its own'
stop_shim
must tpm2_createprimary -Q -C o -G ecc:ecdsa -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign' -c sign.ctx
flush_tpm
echo hello >message
must tpm2_sign -c sign.ctx -g sha256 -o message.sig message
flush_tpm
checkpoint
caught 14 digest

fresh_log
it 'init names whoever else would use the audited commands'
must tpm2_createprimary -Q -C o -G ecc:ecdsa -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign' -c p.ctx
must tpm2_evictcontrol -Q -C o -c p.ctx 0x81000055
flush_tpm
run sealtool audit init --log x.log --ak-out x.pub
expect_status 8
expect_err 0x81000055
must tpm2_evictcontrol -Q -C o -c 0x81000055
must tpm2_setcommandauditstatus -C o TPM2_CC_Quote
run sealtool audit init --log x.log --ak-out x.pub
expect_status 8
expect_err 0x158
expect 'nothing was written' test ! -e x.log
start_shim audited.conf
encrypt e-2
expect_out error
expect_out 'somebody changed the set'
stop_shim
must tpm2_setcommandauditstatus -C o --clear-list TPM2_CC_Quote
fresh_log

it 'the key takes no detour: an HMAC sequence, TPM2_Sign, a password'
raw k1.key hmac "$zeros"
expect_status 0
raw k1.key sequence "$zeros"
expect_status 3
expect_out 0x9a4
raw k1.key sign "$zeros"
expect_status 3
raw k1.key password "$zeros"
expect_status 3
raw ca.key hmac "$zeros"
expect_status 3
fresh_log

attack 'the certificate that the attacker signs for himself'
stop_shim
must sign n1.csr n1.crt
must sign n1.csr n2.crt
raw ca.key sign "$(printf '%064d' 7)"
expect_status 0
must sign n1.csr n3.crt
verify --ak ak.pub audit.log
expect_status 14
expect_only digest
expect_json 'j["certificates"]' 3

fresh_log
attack 'owner turns the audit off, uses the key, turns it on again'
stop_shim
must tpm2_setcommandauditstatus -C o --clear-list TPM2_CC_HMAC
start_shim plain.conf
decrypt hidden made.json
expect_plaintext
stop_shim
must tpm2_setcommandauditstatus -C o TPM2_CC_HMAC
checkpoint
caught 14 digest

fresh_log
attack 'owner turns it off and leaves it so'
stop_shim
must sealtool audit checkpoint --log audit.log
must tpm2_setcommandauditstatus -C o --clear-list TPM2_CC_HMAC
run sealtool audit checkpoint --log audit.log --nonce 78
expect_status 8
verify --ak ak.pub --nonce 78 audit.log
expect_status 13
must tpm2_setcommandauditstatus -C o TPM2_CC_HMAC
fresh_log

attack 'the digest is dropped by a change of algorithm'
unlogged
must tpm2_setcommandauditstatus -C o -g sha384
must tpm2_setcommandauditstatus -C o -g sha256
checkpoint
caught 14 digest gap

fresh_log
attack 'the digest is dropped by another attestation'
unlogged
must tpm2_createprimary -Q -C e -G ecc256:ecdsa-sha256:null -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign' -c ak2.ctx
flush_tpm
must tpm2_getcommandauditdigest -P '' -p '' -c ak2.ctx -m a.msg -s a.sig -g sha256 -q 00
flush_tpm
checkpoint
caught 14 gap

fresh_log
attack 'an attestation is withheld: the window after it looks clean'
stop_shim
unlogged_checkpoint() {
	start_shim plain.conf
	decrypt hidden made.json
	stop_shim
	must tpm2_createprimary -Q -C e -G ecc256:ecdsa-sha256:null -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign' -c ak2.ctx
	flush_tpm
	must tpm2_getcommandauditdigest -P '' -p '' -c ak2.ctx -m a.msg -s a.sig -g sha256 -q 00
	flush_tpm
}
must sealtool audit checkpoint --log audit.log
unlogged_checkpoint
checkpoint
caught 14 gap
expect_out 'the TPM was not reset'

fresh_log
attack 'uses after the last checkpoint, and then a reset'
stop_shim
must sealtool audit checkpoint --log audit.log
unlogged
must reset_tpm
checkpoint
caught 14 gap
expect_out 'lost at a reset'

fresh_log
it 'uses in the middle of entries, and then a reset: as a crash looks'
checkpoint
start_shim audited.conf
decrypt d-x made.json
kill_shim
start_shim plain.conf
decrypt hidden made.json
stop_shim
must reset_tpm
checkpoint
caught 14 window
expect_out 'a window for an attack'

fresh_log
attack 'Shutdown(STATE), uses, power cut: the digest rolls back'
kill_shim
tpm2_shutdown >/dev/null 2>&1
start_shim plain.conf
decrypt hidden made.json
stop_shim
tpm_cut() {
	kill -KILL "$(cat "$tpm_dir/child")"
	wait "$(cat "$tpm_dir/child")" 2>/dev/null
	rm -f "$tpm_dir/child" "$tpm_dir/tpm" "$tpm_dir/tpm.ctrl"
	tpm_on
}
tpm_cut
checkpoint
verify --ak ak.pub audit.log
expect_status 14
expect_finding restart

fresh_log
attack 'TPM2_Clear, and all is made again'
stop_shim
must sealtool audit checkpoint --log audit.log
cp k1.key ca.key "$tap_dir/"
must tpm2_clear -c p
must sealtool init
cp audit.log cleared.log
must sealtool audit init --log after.log --ak-out after.pub
expect 'the attestation key is the same again' cmp ak.pub after.pub
must sealtool audit checkpoint --log cleared.log --nonce 79
verify --ak ak.pub cleared.log
expect_status 14
expect_finding cleared
rm -f k1.key ca.key
must sealtool key new --type hmac --pcrs sha256:7 -o k1.key
must sealtool key new --type p256 -o ca.key
rm -f audit.log
must sealtool audit init --log audit.log --ak-out ak.pub
make_ca
start_shim audited.conf
encrypt e-3
cp "$out" made.json
stop_shim

attack 'the log of another machine'
stop_shim
first=$tpm_dir
must start_tpm
must sealtool init
must sealtool audit init --log other.log --ak-out other.pub
must sealtool audit checkpoint --log other.log --nonce 77
verify --ak ak.pub other.log
expect_status 10
expect_only wrong-tpm
sed "s/\"ak\":\"[0-9a-f]*\"/$(grep -o '"ak":"[0-9a-f]*"' audit.log | head -1)/" other.log >forged.log
verify --ak ak.pub forged.log
expect_status 10
stop_tpm
use_tpm "$first"

# The rest is done to the text alone.
start_shim audited.conf
decrypt_many 3 made.json
stop_shim
checkpoint
verify --ak ak.pub audit.log
expect_complete
# edited 'case' STATUS 'ID...' PYTHON: a statement that changes `lines`
edited() {
	it "$1"
	python3 -c '
import re, sys
lines = open("audit.log", encoding="ascii").read().split("\n")[:-1]
find = lambda pattern: next(i for i in range(len(lines) - 1, -1, -1) if re.search(pattern, lines[i]))
exec(sys.argv[1])
open("edited.log", "w", encoding="ascii").write("".join(l + "\n" for l in lines))' "$4"
	verify --ak ak.pub edited.log
	expect_status "$2"
	# shellcheck disable=SC2086 # words
	expect_only $3
}
edited 'a uid is changed' 14 chain 'i = find("many-1"); lines[i] = lines[i].replace("many-1", "many-9")'
edited 'a result is changed' 14 'chain digest' \
	'i = find(r"\"rp\""); lines[i] = re.sub(r"rp\":\"....", "rp\":\"0000", lines[i])'
edited 'an identifier is changed' 14 'chain digest' \
	'i = find("many-1"); lines[i] = re.sub(r"\"id\":\"....", "\"id\":\"0000", lines[i])'
edited 'an entry is dropped' 14 'chain digest sequence' 'i = find("many-1"); del lines[i:i + 2]'
edited 'entries are swapped' 14 'chain sequence' \
	'i = find("many-1"); lines[i:i + 4] = lines[i + 2:i + 4] + lines[i:i + 2]'
edited 'an entry is added' 14 'chain digest sequence' 'i = find("many-1"); lines[i:i] = lines[i:i + 2]'
edited 'a checkpoint and its entries are dropped' 14 'chain sequence gap' \
	'a = find("many-0"); b = a + next(i for i, l in enumerate(lines[a:]) if l.startswith("{\"t\":\"C\"")); del lines[a:b + 1]'
edited 'an attestation is changed' 14 'chain signature' \
	'i = find(r"\"t\":\"C\""); lines[i] = re.sub(r"(att\":\"ff54434780150022000b.{64}0020)....", r"\g<1>0000", lines[i])'
edited 'a signature is changed' 14 signature \
	'i = find(r"\"t\":\"C\""); lines[i] = re.sub(r"sig\":\"....", "sig\":\"0000", lines[i])'
edited 'a reset is made up' 14 'chain digest restart window' \
	'i = find("many-0") + 2; lines[i:i] = ["{\"t\":\"B\",\"ts\":1,\"reset\":99,\"restart\":0}"]'
edited 'an entry is called not executed' 14 'chain digest sequence' \
	'i = find("many-2"); lines[i + 1] = "{\"t\":\"X\",\"ts\":1,\"why\":\"not-executed\",\"count\":1}"'
edited 'a key is given another policy' 14 'chain disguised key' \
	'i = find(r"\"type\":\"hmac\""); lines[i] = lines[i].replace("\"0000016c\",\"00000155\"", "\"0000016c\",\"0000015d\"")'
edited 'the file is cut off, its checkpoint too' 0 '' 'a = find("many-0"); del lines[a:]'
edited 'a line is no line' 5 malformed 'lines[find("many-1")] = "{}"'
edited 'a line has a space more' 5 malformed 'i = find("many-1"); lines[i] = lines[i].replace(",", ", ", 1)'
edited 'a line has a member more' 5 malformed 'i = find("many-1"); lines[i] = lines[i][:-1] + ",\"x\":1}"'
edited 'a second head' 5 malformed 'i = find("many-1"); lines[i:i] = lines[:1]'

it 'the cut is seen by whoever has a nonce, or a state'
run audit-verify --ak ak.pub --state state audit.log
expect_status 0
head -n 6 audit.log >edited.log
verify --ak ak.pub --nonce 77 edited.log
expect_status 13
run audit-verify --ak ak.pub --state state edited.log
expect_status 13

it 'an old log that root goes on with is no continuation'
cp audit.log now.log
head -n "$(grep -n '"t":"C"' now.log | sed -n 2p | cut -d: -f1)" now.log >audit.log
must sealtool audit checkpoint --log audit.log --nonce 80
verify --ak ak.pub --nonce 80 audit.log
expect_status 14
expect_only gap
run audit-verify --json --ak ak.pub --state state audit.log
expect_status 14
expect_finding rolled-back
cp now.log audit.log

it 'a decryption that is written as an encryption counts as what it is'
fresh_log
start_shim audited.conf
decrypt d-1 made.json
decrypt d-2 made.json
kill_shim
python3 - <<'PYTHON'
import json
lines = open("audit.log", encoding="ascii").read().split("\n")[:-1]
intent, result = json.loads(lines[-2]), json.loads(lines[-1])
intent["op"], intent["rnd"] = "E", "00" * 32
lines[-2] = json.dumps(intent, separators=(",", ":"))
open("audit.log", "w", encoding="ascii").write("".join(l + "\n" for l in lines))
PYTHON
must sealtool audit checkpoint --log audit.log
verify --ak ak.pub audit.log
expect_status 14
expect_only disguised
expect_json '[j["encryptions"], j["decryptions"]]' '[0, 2]'

done_testing
