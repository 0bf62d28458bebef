#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The audit log after crashes: the process is killed, the answer lost, the power gone, the disk full, at each point where
# it matters. What can be told is told; what cannot is a window in the log, and nothing else is.
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

must start_tpm
# shellcheck disable=SC2119 # no options
audit_set_up
make_ca
must start_proxy
echo "tcti = $mid" >>audited.conf
hmac=155
sign=15d
attest=133
start_shim audited.conf
encrypt e-1
cp "$out" made.json
stop_shim
expect_clean_log() {
	verify --ak ak.pub audit.log
	expect_complete
}
fresh_log() {
	rm -f audit.log audit.log.*
	must sealtool audit init --log audit.log --ak-out ak.pub
}

it 'killed after the TPM computed an HMAC, before its answer: it is repeated, and in the log twice'
start_shim audited.conf
decrypt d-1 made.json
expect_plaintext
order "swallow $hmac $shim"
decrypt d-2 made.json
expect_no_out
kill_shim
start_shim audited.conf
decrypt d-3 made.json
expect_plaintext
stop_shim
verify --ak ak.pub audit.log
expect_complete
expect_json '[j["encryptions"], j["decryptions"], j["redone"]]' '[1, 3, 1]'

it 'killed before the TPM saw the command: it was not carried out'
fresh_log
start_shim audited.conf
decrypt d-4 made.json
order "lose $hmac $shim"
decrypt d-4a made.json
kill_shim
expect 'the intent waits' test "$(tail -n 1 audit.log | cut -c 1-8)" = '{"t":"I"'
order
start_shim audited.conf
decrypt d-4b made.json
expect_plaintext
stop_shim
expect_clean_log
expect 'the log says so' grep -q 'not-executed' audit.log

it 'the answer is lost and the process lives: the client gets an error, and the log the truth'
fresh_log
start_shim audited.conf
decrypt d-5 made.json
order "swallow $hmac"
decrypt d-6 made.json
expect_out error
flush_tpm
decrypt d-7 made.json
expect_plaintext
stop_shim
verify --ak ak.pub audit.log
expect_complete
expect_json '[j["decryptions"], j["redone"]]' '[3, 1]'

it 'the command is lost and the process lives: it was not carried out'
fresh_log
start_shim audited.conf
decrypt d-8 made.json
order "lose $hmac"
decrypt d-9 made.json
expect_out error
flush_tpm
decrypt d-10 made.json
expect_plaintext
stop_shim
verify --ak ak.pub audit.log
expect_complete
expect 'the log says so' grep -q 'not-executed' audit.log
expect_json '[j["decryptions"], j["redone"]]' '[2, 0]'

it 'killed while it repeats: repeated again'
fresh_log
for i in 1 2 3; do
	start_shim audited.conf
	order "swallow $hmac $shim"
	decrypt "d-1$i" made.json
	kill_shim
done
start_shim audited.conf
decrypt d-14 made.json
expect_plaintext
stop_shim
verify --ak ak.pub audit.log
expect_complete
expect_json '[j["decryptions"], j["redone"]]' '[2, 3]'

it 'the lost answer to a signature cannot be had again: a window, and only that'
fresh_log
order "swallow $sign"
run sealtool sign-cert --tcti "$mid" --key ca.key --ca ca.crt --csr n1.csr --days 30 --audit audit.log -o lost.crt
expect_status 4
expect 'no certificate' test ! -e lost.crt
flush_tpm
must sign n1.csr n1.crt
verify --ak ak.pub audit.log
expect_status 14
expect_only lost
expect_out 'unknown number of uses'
expect_json 'j["certificates"]' 1

it 'a signature that the TPM never saw leaves nothing to be explained'
fresh_log
order "lose $sign"
run sealtool sign-cert --tcti "$mid" --key ca.key --ca ca.crt --csr n1.csr --days 30 --audit audit.log -o lost.crt
expect_status 4
flush_tpm
must sign n1.csr n1.crt
expect_clean_log
expect 'the log says so' grep -q 'not-executed' audit.log

it 'the lost attestation of a checkpoint is a window too'
fresh_log
start_shim audited.conf
decrypt d-20 made.json
order "swallow $attest $shim"
sleep 1.5
kill_shim
must sealtool audit checkpoint --log audit.log --nonce 01
verify --ak ak.pub audit.log
expect_status 14
expect_only taken
order

it 'a checkpoint that the TPM never saw is taken again'
fresh_log
start_shim audited.conf
decrypt d-21 made.json
order "lose $attest"
sleep 1.5
flush_tpm
decrypt d-22 made.json
expect_plaintext
stop_shim
expect_clean_log

it 'after a power cut the window is told of, with its intents'
fresh_log
start_shim audited.conf
order "swallow $hmac $shim 1"
decrypt_many 2 made.json
kill_shim
must reset_tpm 3>&-
must sealtool audit checkpoint --log audit.log --nonce 02
verify --ak ak.pub audit.log
expect_status 14
expect_only window
expect_out '1 entries and 1 intents'

it 'a power cut with an intent that was not carried out is no window: the counter shows it'
fresh_log
order
start_shim audited.conf
decrypt d-25 made.json
sleep 1.6
order "lose $hmac"
decrypt d-26 made.json
kill_shim
must reset_tpm 3>&-
must sealtool audit checkpoint --log audit.log --nonce 03
expect_clean_log

it 'a power cut with one that was is a window'
fresh_log
order
start_shim audited.conf
decrypt d-27 made.json
sleep 1.6
order "swallow $hmac $shim"
decrypt d-28 made.json
kill_shim
must reset_tpm 3>&-
must sealtool audit checkpoint --log audit.log --nonce 04
verify --ak ak.pub audit.log
expect_status 14
expect_only window

it 'an HMAC that only kms-shim can repeat makes others wait, or be told to give it up'
fresh_log
order
start_shim audited.conf
decrypt d-29 made.json
order "swallow $hmac $shim"
decrypt d-30 made.json
kill_shim
run sealtool audit status --log audit.log
expect_out 'was cut off'
run sign n1.csr n2.crt
expect_status 11
expect_err '--abandon'
(
	sleep 1
	start_shim audited.conf
	decrypt d-31 made.json
	stop_shim
) &
helper=$!
run sign n1.csr n2.crt
expect_status 0
wait "$helper"
expect_clean_log
start_shim audited.conf
order "swallow $hmac $shim"
decrypt d-32 made.json
kill_shim
run sealtool audit checkpoint --log audit.log --abandon
expect_status 0
verify --ak ak.pub audit.log
expect_status 14
expect_only lost

it 'a line that was cut off in the middle is taken away: nobody acted on it'
fresh_log
start_shim audited.conf
decrypt d-33 made.json
stop_shim
printf '{"t":"I","n":1,"ts":17' >>audit.log
start_shim audited.conf
decrypt d-34 made.json
expect_plaintext
stop_shim
expect_clean_log

it 'a full disk: nothing is done that cannot be written, and it goes on when there is room'
fresh_log
start_shim audited.conf
decrypt d-35 made.json
expect_plaintext
sleep 1.6
size=$(wc -c <audit.log)
if prlimit --pid "$shim" --fsize="$size": 2>/dev/null; then
	decrypt d-36 made.json
	expect_out 'without it nothing is done'
	expect_out audit.log
	expect 'the log is as it was' test "$(wc -c <audit.log)" -eq "$size"
	prlimit --pid "$shim" --fsize=unlimited:
	decrypt d-37 made.json
	expect_plaintext
fi
stop_shim
expect_clean_log
expect_json 'j["decryptions"]' 2

it 'a log that cannot be written, or was taken away, is a refusal'
mv audit.log away.log
start_shim audited.conf
encrypt e-2
expect_no_out
stop_shim
expect_status 12
mv away.log audit.log
ln -s audit.log link.log
run sealtool audit checkpoint --log link.log
expect_status 8

it 'rotation: one chain through all files, which can be verified from each'
rm -f audit.log audit.log.*
must sealtool audit init --log audit.log --ak-out ak.pub --max-size 65536
start_shim audited.conf
decrypt_many 700 made.json
expect_plaintext
stop_shim
expect 'several files' test -e audit.log.000001
verify --ak ak.pub audit.log.0* audit.log
expect_complete
expect_json 'j["decryptions"]' 700
verify --ak ak.pub audit.log.000001 audit.log
expect_complete
expect_json 'j["entriesBefore"] > 0' true
verify --ak ak.pub audit.log
expect_complete
verify --ak ak.pub audit.log.000000 audit.log
expect_status 14
expect_finding rotation
verify --ak ak.pub audit.log audit.log.000000
expect_status 14
expect_finding rotation
run audit-verify --ak ak.pub --state state audit.log.000000
expect_status 0
run audit-verify --json --ak ak.pub --state state audit.log.000001 audit.log
expect_status 0
cp state state.old
gzip audit.log.000000
verify --ak ak.pub audit.log.000000.gz audit.log.000001 audit.log
expect_complete
must sealtool audit checkpoint --log audit.log --nonce 05
run audit-verify --json --ak ak.pub --state state audit.log
expect_status 0

it 'a rotation that was cut off after the old file got its name is done again'
ln audit.log "audit.log.000002" 2>/dev/null
start_shim audited.conf
decrypt_many 300 made.json
expect_plaintext
stop_shim
verify --ak ak.pub audit.log.000000.gz audit.log.00000[1-9] audit.log
expect_complete

done_testing
