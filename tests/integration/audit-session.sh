#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Audit logs of tier C: session audit alone, for whoever insists. What it shows, and what it does not.
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
examine() {
	verify --ak ak.pub --tier c "$@"
}
fresh_log() {
	rm -f audit.log audit.log.*
	must sealtool audit init --log audit.log --ak-out ak.pub --tier c --force
}
used() {
	start_shim audited.conf
	decrypt "$1" made.json
	expect_plaintext
	stop_shim
}

must start_tpm
must sealtool init
must sealtool key new --type hmac --pcrs sha256:7 -o k1.key
must sealtool key new --type p256 -o ca.key
audit_configure

it 'such a log is begun only for whoever insists, and init says what it does not show'
run sealtool audit init --log audit.log --ak-out ak.pub --tier c
expect_status 8
expect_err 'cannot show a use that was left out'
expect 'nothing was written' test ! -e audit.log -a ! -e ak.pub
must sealtool audit init --log audit.log --ak-out ak.pub --tier c --force
expect_out -- '--tier c'

it 'kms-shim and sign-cert write it, over restarts too, and it is what the TPM vouches for'
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
must reset_tpm 3>&-
used d-2
must sealtool audit checkpoint --log audit.log --nonce 0a0b
examine --nonce 0a0b audit.log
expect_complete
expect_json '[j["encryptions"], j["decryptions"], j["certificates"]]' '[1, 7, 2]'
expect_json 'j["lastCheckpoint"]["tier"]' c
run audit-verify --ak ak.pub --tier c audit.log
expect_out 'nothing shows a use that was left out'
run sealtool audit status --log audit.log --json
expect_json '[j["tier"], j["on"], j["log"]["agreesWithTpm"]]' '["c", true, true]'

it 'whoever does not ask for it does not take it for a better one'
verify --ak ak.pub audit.log
expect_status 14
expect_only tier
verify --ak ak.pub --tier b audit.log
expect_status 14
expect_only tier

it 'a use that is left out does not show: that is what is lost'
run "$tools/tpm-raw.py" "$tpm_dir/tpm" k1.key hmac "$zeros"
expect_status 0
must sealtool audit checkpoint --log audit.log --nonce 77
examine audit.log
expect_complete

it 'what is in it cannot be changed'
fresh_log
used d-3
cp audit.log good.log
sed -E 's/("uid":")d-3/\1d-4/' good.log >edited.log
expect 'it was edited' test "$(cmp -s good.log edited.log; echo $?)" = 1
examine edited.log
expect_status 14
sed -E 's/("rp":")[0-9a-f]{4}/\1ffff/' good.log >edited.log
examine edited.log
expect_status 14
sed 's/"tier":"C"/"tier":"A"/' good.log >edited.log
examine edited.log
expect_status 5
sed 's/"tier":"C"/"tier":"B"/' good.log >edited.log
examine edited.log
expect_status 5

it 'a log of another TPM is another one'
openssl pkey -in n1.pem -pubout -out other.pub 2>/dev/null
verify --ak other.pub --tier c audit.log
expect_status 10

it 'what was cut off is a window, since nothing tells whether it was done'
must start_proxy
{
	cat audited.conf
	echo "tcti = $mid"
} >mid.conf
chmod 600 mid.conf
interrupt lose 155 lost
interrupt swallow 155 lost
interrupt lose 14d lost
interrupt swallow 14d lost

it 'also if the TPM was reset then'
fresh_log
start_shim mid.conf
decrypt c-4 made.json
expect_plaintext
order "swallow 155 $shim"
decrypt c-5 made.json
kill_shim
order
must reset_tpm 3>&-
used c-6
examine audit.log
expect_status 14
expect_only window

it 'a chip that can do no more is told of'
order without 133 140 151
rm -f audit.log audit.log.*
run sealtool audit init --tcti "$mid" --log audit.log --ak-out ak.pub
expect_status 8
expect_err '(tier c)'
run sealtool audit status --tcti "$mid" --json
expect_json 'j["tier"]' c
run sealtool audit init --tcti "$mid" --log audit.log --ak-out ak.pub --tier b
expect_status 4
expect_err 'only tier c'
must sealtool audit init --tcti "$mid" --log audit.log --ak-out ak.pub --force
start_shim mid.conf
decrypt d-9 made.json
expect_plaintext
stop_shim
examine audit.log
expect_complete

it 'one that audits nothing gets no log, be it forced'
order without 133 140 14d
rm -f audit.log
run sealtool audit init --tcti "$mid" --log audit.log --ak-out ak.pub --force
expect_status 4
expect_err 'no log is begun'
expect 'nothing was written' test ! -e audit.log
run sealtool audit status --tcti "$mid" --json
expect_json 'j["tier"]' none
order

done_testing
