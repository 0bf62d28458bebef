#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# doctor: stable identifiers, ok/warn/fail, and what to do. Also owner authorisation.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

must start_tpm
umask 077
echo 271828 >pin
echo secret >owner
printf x >plain

finding() { # identifier: its status in the last JSON
	json "[f['status'] for f in j['findings'] if f['id'] == '$1'][0]"
}
expect_finding() {
	expect "$1 should be $2, is $(finding "$1")" test "$(finding "$1")" = "$2"
}

it 'a fresh TPM is not provisioned'
run sealtool doctor --json
expect_status 12
expect_finding storage-key fail
expect_err 'sealtool init'
expect_one_line
expect_json 'all(f["action"] for f in j["findings"] if f["status"] != "ok")' true

it 'every line has an identifier that the man page lists'
must sealtool init
run sealtool doctor --json
expect_status 0
expect_no_err
json '"\n".join(f["id"] for f in j["findings"])' >ids
while read -r id; do
	expect "$id is not in the man page" grep -qw -e "$id" "$STAGE/usr/share/man/man1/sealtool.1"
done <ids
for id in tpm-device tpm-connection tpm-manufacturer storage-key owner-auth lockout-auth lockout \
	command-hmac command-audit command-encryptdecrypt2 command-createloaded session-encryption \
	transient-slots session-slots pcr-bank-sha256; do
	expect "$id is missing" grep -qx "$id" ids
done
expect_json '{f["status"] for f in j["findings"]} <= {"ok", "warn", "fail"}' true

it 'for people: a line each, the status first'
run sealtool doctor
expect_status 0
expect 'lines' sh -c "grep -E '^(ok|warn|fail) +[a-z0-9-]+ ' '$out' | grep -c '' | grep -qx $(grep -c '' ids)"

it 'banks that nobody extends, and one that somebody does'
run sealtool doctor --json
expect_finding pcr-bank-sha256 warn
must tpm2_pcrextend "0:sha256=$(printf '%064d' 1)"
run sealtool doctor --json
expect_finding pcr-bank-sha256 ok
expect_finding pcr-bank-sha384 warn

it 'lockout authorisation'
expect_finding lockout-auth warn
must tpm2_changeauth -c lockout lockout
run sealtool doctor --json
expect_finding lockout-auth ok

it 'lockout'
expect_finding lockout ok
must tpm2_dictionarylockout --setup-parameters --max-tries=2 --recovery-time=1000 \
	--lockout-recovery-time=1000 -p lockout
must sealtool seal --name t --purpose x --pin-file pin -o t.sealed <plain
run sealtool unseal --pin-file owner t.sealed
run sealtool doctor --json
expect_finding lockout warn
run sealtool unseal --pin-file owner t.sealed
run sealtool doctor --json
expect_status 7
expect_finding lockout fail
must tpm2_dictionarylockout --clear-lockout -p lockout

it 'owner authorisation: init wants it, sealing does not'
must tpm2_changeauth -c owner secret
run sealtool doctor --json
expect_finding owner-auth ok
run sealtool unseal --pin-file pin t.sealed
expect_status 0
must tpm2_evictcontrol -C o -P secret -c 0x81000001
run sealtool init
expect 'status 6 or 2' sh -c "case $status in 6|2) ;; *) false ;; esac"
expect_err owner-auth-file
run sealtool init --owner-auth-file owner --json
expect_status 0
expect_json 'j["made"]' true
run sealtool unseal --pin-file pin t.sealed
expect_status 0
expect 'leftovers' test "$(tpm_leftovers)" = 0

it 'sessions and objects that others hold'
must "$tools/tpm-fill.py" "$tpm_dir/tpm" sessions
run sealtool doctor --json
expect_status 11
expect_finding session-slots fail
flush_tpm
must "$tools/tpm-fill.py" "$tpm_dir/tpm" objects
run sealtool doctor --json
expect_status 11
expect_finding transient-slots fail
flush_tpm

it 'no TPM'
run sealtool doctor --json --tcti swtpm:path=/nonexistent
expect_status 4
expect_finding tpm-connection fail
run sealtool doctor --json --tcti device:/nonexistent
expect_status 4
expect_finding tpm-device fail
expect_json '"firmware" in [f["action"] for f in j["findings"] if f["id"] == "tpm-device"][0]' true

it 'a TCTI is a name, not a path to somebody'"'"'s library'
for tcti in /tmp/evil.so:x ./evil.so ../evil.so:x pcap:/tmp/evil.so:x; do
	run sealtool pcrs --tcti "$tcti"
	expect_status 2
	expect_one_line
	run env KUBETPM_TCTI="$tcti" sealtool pcrs
	expect_status 2
done

it 'nothing is left in the TPM, and nothing was changed'
expect 'leftovers' test "$(tpm_leftovers)" = 0

done_testing
