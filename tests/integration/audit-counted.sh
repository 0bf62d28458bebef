#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Audit logs of tier B, for a chip without command audit: session audit, and the counter that the key's policy makes each
# use raise. Honest histories, and each way to hide a use.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=proxy.sh
. "$(dirname "$0")/../tools/proxy.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=stdio-shim.sh
. "$(dirname "$0")/../tools/stdio-shim.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=audit.sh
. "$(dirname "$0")/../tools/audit.sh"

zeros=$(printf '%064d' 0)
raw() {
	run "$tools/tpm-raw.py" "$tpm_dir/tpm" "$@"
}
examine() {
	verify --ak ak.pub --tier b "$@"
}
begin_log() {
	must sealtool audit init --log audit.log --ak-out ak.pub --tier b --owner-auth-file owner
}
# Later files can be verified from where they begin.
fresh_log() {
	rm -f audit.log audit.log.*
	begin_log
}
checkpoint() {
	must sealtool audit checkpoint --log audit.log --nonce 77
}
used() {
	start_shim audited.conf
	decrypt "$1" made.json
	expect_plaintext
	stop_shim
}

must start_tpm
must sealtool init
must sealtool key new --type hmac --pcrs sha256:7 -o a.key
audit_configure

it 'where somebody else has commands audited, init refuses before it makes anything'
must tpm2_setcommandauditstatus -C o TPM2_CC_Quote
run sealtool audit init --log audit.log --ak-out ak.pub
expect_status 8
expect_err 0x158
run tpm2_readpublic -Q -c 0x81010100
expect 'there is no attestation key' test "$status" -ne 0
must tpm2_setcommandauditstatus -C o --clear-list TPM2_CC_Quote

it 'while anybody is the owner, no such log is begun'
run sealtool audit init --log audit.log --ak-out ak.pub --tier b
expect_status 8
expect_err 'tpm2_changeauth'
expect 'nothing was written' test ! -e audit.log -a ! -e ak.pub

it 'init makes the counter, and says what audit-verify has to be given'
printf %s secret >owner
chmod 600 owner
must tpm2_changeauth -Q -c owner secret
run sealtool audit init --log audit.log --ak-out ak.pub --tier b
expect_status 6
expect 'nothing was written' test ! -e audit.log
begin_log
expect_out 'tier:             b'
expect_out -- '--tier b'
run tpm2_nvreadpublic 0x1800100
expect_out '0x1800100'

it 'key new --audit-tier b makes a key whose uses are counted'
must sealtool key new --type hmac --pcrs sha256:7 --audit-tier b -o k1.key
must sealtool key new --type p256 --audit-tier b -o ca.key
must sealtool key show k1.key
expect_out 'tier b'
raw k1.key uncounted "$zeros"
expect_status 3
expect_out 0x99d

it 'kms-shim and sign-cert write such a log, and it is complete'
make_ca
start_shim audited.conf
encrypt e-1
cp "$out" made.json
decrypt d-1 made.json
expect_plaintext
decrypt_many 5 made.json
stop_shim
run sign n1.csr n1.crt
expect_status 0
run openssl verify -CAfile ca.crt n1.crt
expect_status 0
examine audit.log
expect_complete
expect_json '[j["encryptions"], j["decryptions"], j["certificates"]]' '[1, 6, 2]'
expect_json 'j["lastCheckpoint"]["tier"]' b

it 'who does not expect such a log is told'
verify --ak ak.pub audit.log
expect_status 14
expect_only tier
expect_out 'give --tier b'
run audit-verify --ak ak.pub --tier d audit.log
expect_status 2
verify --ak ak.pub --tier c audit.log
expect_status 14
expect_only tier

it 'status compares count and log'
run sealtool audit status --log audit.log --json
expect_status 0
expect_json '[j["tier"], j["on"], j["log"]["agreesWithTpm"]]' '["b", true, true]'
uses=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["uses"])' <"$out")
expect 'each entry was counted, the first ones to try it out too' test "$uses" -ge 9
run sealtool audit status --log audit.log
expect_out 'count of uses agrees'

it 'a key of the other tier is refused, both ways'
sed 's/k1.key/a.key/' audited.conf >a.conf
chmod 600 a.conf
start_shim a.conf
encrypt e-a
expect_out error
expect_out tier
stop_shim
run "$kms_shim" --config plain.conf --stdio </dev/null
expect_status 8
expect_err 'give audit=FILE'

it 'a restart of the machine is clean'
used d-2
must reset_tpm 3>&-
used d-3
examine audit.log
expect_complete

it 'idle checkpoints, nonces and rotation are as in other logs'
used d-4
must sealtool audit checkpoint --log audit.log --nonce 0a0b
examine --nonce 0a0b audit.log
expect_complete

it 'the key used without a line: the count shows it'
checkpoint
raw k1.key hmac "$zeros"
expect_status 0
run sealtool audit status --log audit.log
expect_out 'count of uses is another one'
checkpoint
examine audit.log
expect_status 14
expect_only uses
expect_out '1 uses more'

fresh_log
it 'also over a reset, and when the uses are many'
used d-5
raw k1.key hmac "$zeros"
must reset_tpm 3>&-
raw k1.key hmac "$zeros"
used d-6
examine audit.log
expect_status 14
expect_only uses
expect_out '2 uses more'

fresh_log
it 'neither a ticket nor a second use in the session goes without being counted'
raw k1.key ticket "$zeros"
expect_status 3
raw k1.key again "$zeros"
expect_status 3
checkpoint
examine audit.log
expect_status 14
expect_only uses

fresh_log
it 'raising the count is told of, too: it is not known whether a key was used'
raw k1.key count "$zeros"
expect_status 0
checkpoint
examine audit.log
expect_status 14
expect_only uses

fresh_log
it 'a reading that was kept from before the use does not serve, whoever asks with a nonce'
used d-s
"$tools/tpm-stale.py" "$tpm_dir/tpm" read >stale
session=$(cut -d ' ' -f 1 stale)
raw k1.key hmac "$zeros"
expect_status 0
must "$tools/tpm-stale.py" "$tpm_dir/tpm" attest "$session" audit.log c0ffee
must tpm2_flushcontext "$(printf '0x%08x' "$session")"
examine --nonce c0ffee audit.log
expect_status 14
expect_only digest

fresh_log
it 'the counter cannot be removed without the owner; if the owner does, it shows'
used d-7
run tpm2_nvundefine -Q -C o 0x1800100
expect 'the TPM refuses' test "$status" -ne 0
must tpm2_nvundefine -Q -C o -P secret 0x1800100
start_shim audited.conf
decrypt d-8 made.json
expect_out error
expect_out 'use counter'
stop_shim
must sealtool audit init --log other.log --ak-out other.pub --tier b --owner-auth-file owner
run sealtool audit checkpoint --log audit.log --nonce 77
examine audit.log
expect_status 14
expect_only gap
rm -f other.log other.pub

fresh_log
it 'an index of somebody else in its place is not taken for it'
must tpm2_nvundefine -Q -C o -P secret 0x1800100
must tpm2_nvdefine -Q -C o -P secret -s 8 -a 'ownerread|ownerwrite|authread|authwrite' 0x1800100
run sealtool audit init --log x.log --ak-out x.pub --tier b --owner-auth-file owner
expect_status 8
expect_err "somebody else's"
must tpm2_nvundefine -Q -C o -P secret 0x1800100

fresh_log
it 'a saved state that is restored shows as a restart'
used d-9
checkpoint
tpm2_shutdown >/dev/null 2>&1
must tpm_off 3>&-
must tpm_on 3>&-
run tpm2_startup
used d-10
run grep -c '"t":"C"' audit.log
expect_status 0

it 'an edited line is found: another answer, another count, another tier, a line less'
fresh_log
used d-11
cp audit.log good.log
sed -E 's/("t":"O","n":[0-9]+,"rp":")[0-9a-f]/\1z/;s/"rp":"z/"rp":"0/' good.log >edited.log
cmp -s good.log edited.log && sed -E 's/("rp":")[0-9a-f]/\1f/' good.log >edited.log
examine edited.log
expect_status 14
python3 - good.log edited.log <<'EOT'
import re, sys
text = open(sys.argv[1], encoding="utf-8").read()
last = [m for m in re.finditer(r'"uses":(\d+)', text)][-1]
open(sys.argv[2], "w", encoding="utf-8").write(text[:last.start(1)] + str(int(last[1]) + 1) + text[last.end(1):])
EOT
examine edited.log
expect_status 14
sed 's/"tier":"B"/"tier":"A"/' good.log >edited.log
examine edited.log
expect_status 5
sed '/"op":"D"/d' good.log >edited.log
examine edited.log
expect_status 5

it 'cut off at each command, nothing is hidden: what the TPM did is a window, what it did not is nothing'
must start_proxy
{
	cat audited.conf
	echo "tcti = $mid"
} >mid.conf
chmod 600 mid.conf
interrupt lose 151
interrupt swallow 151 lost
interrupt lose 155 lost
interrupt swallow 155 lost
interrupt lose 14e lost
interrupt swallow 14e lost
interrupt lose 14d lost
interrupt swallow 14d lost

it 'a chip without command audit gets tier b'
order without 133 140
rm -f audit.log audit.log.*
run sealtool audit init --tcti "$mid" --log audit.log --ak-out ak.pub --tier a --owner-auth-file owner
expect_status 4
expect_err 'only tier b'
must sealtool audit init --tcti "$mid" --log audit.log --ak-out ak.pub --owner-auth-file owner
expect_out 'tier:             b'
start_shim mid.conf
decrypt d-12 made.json
expect_plaintext
stop_shim
examine audit.log
expect_complete
order

done_testing
