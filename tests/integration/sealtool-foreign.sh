#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# TSS2 key files that other implementations wrote, opened on the TPM they were made for: see
# tests/data/tss2key/README.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

data=$top/tests/data/tss2key
printf 'hunter2\n' >hunter2
printf 'gate\n' >gate
printf 'wrong\n' >wrong
chmod 600 hunter2 gate wrong

# The TPM with the state the files belong to.
start_old_tpm() {
	start_tpm || return 1
	tpm_off
	cp "$data/tpm2-00.permall" "$tpm_dir/tpm2-00.permall"
	chmod 600 "$tpm_dir/tpm2-00.permall"
	tpm_on
}
must start_old_tpm

# opens FILE TEXT [OPTION...]
opens() {
	file=$1
	text=$2
	shift 2
	it "opens $file"
	run sealtool import --name n --purpose p "$@" -o x.sealed "$data/$file"
	expect_status 0
	run sealtool unseal x.sealed
	expect_status 0
	expect_out_is "$text"
	expect 'nothing left in the TPM' test "$(tpm_leftovers)" = 0
}

engine_text='sealed by seal_tpm2_data'
oracle_text='sealed by pcr-oracle'
tools_text='sealed by tpm2_create'
opens engine-owner.pem "$engine_text"
opens engine-persistent.pem "$engine_text"
opens engine-auth.pem "$engine_text" --key-auth-file hunter2
opens engine-pcr.pem "$engine_text"
opens engine-pcr-sha384.pem "$engine_text"
opens engine-import.pem "$engine_text"
opens engine-counter.pem "$engine_text"
opens engine-locality.pem "$engine_text"
opens engine-secret.pem "$engine_text" --policy-auth-file gate
opens engine-empty-policy.pem "$engine_text"
opens engine-signed.pem "$engine_text"
opens oracle-pcr.der "$oracle_text"
opens oracle-persistent.der "$oracle_text"
opens oracle-rsa.der "$oracle_text"
opens oracle-signed.der "$oracle_text"
opens tools-encodeobject.pem "$tools_text"

for file in engine-loadable.pem engine-importable.pem engine-legacy.pem; do
	it "$file is a key, not sealed data"
	run sealtool import --name n --purpose p -o y.sealed "$data/$file"
	expect_status 5
	expect_one_line
	expect_err 'not sealed data'
done

it 'a policy that the file does not tell cannot be satisfied'
run sealtool import --name n --purpose p -o y.sealed "$data/tools-encodeobject-policy.pem"
expect_status 3
expect_one_line

it 'a wrong or missing password is told apart'
run sealtool import --name n --purpose p --key-auth-file wrong -o y.sealed "$data/engine-auth.pem"
expect_status 6
expect_one_line
run sealtool import --name n --purpose p -o y.sealed "$data/engine-auth.pem"
expect_status 6
expect_err --key-auth-file
run sealtool import --name n --purpose p --policy-auth-file wrong -o y.sealed "$data/engine-secret.pem"
expect_status 6

it 'a changed PCR closes what is bound to it'
tpm2_pcrextend "16:sha256=$(printf '%064d' 1)"
for file in engine-pcr.pem engine-signed.pem oracle-pcr.der oracle-rsa.der oracle-signed.der; do
	run sealtool import --name n --purpose p -o y.sealed "$data/$file"
	expect_status 3
	expect_one_line
	expect_nowhere 'sealed by'
done
expect 'nothing left in the TPM' test "$(tpm_leftovers)" = 0

it 'another TPM opens none of them'
must start_tpm
must sealtool init
for file in engine-owner.pem engine-persistent.pem engine-import.pem oracle-pcr.der tools-encodeobject.pem; do
	run sealtool import --name n --purpose p -o y.sealed "$data/$file"
	expect_status 10
	expect_one_line
done
expect 'no file was made' test ! -e y.sealed
expect 'nothing left in the TPM' test "$(tpm_leftovers)" = 0

done_testing
