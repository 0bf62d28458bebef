#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# PINs: right, wrong, how many tries are left, lockout.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

must start_tpm
must sealtool init
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out rec.pem 2>/dev/null
openssl pkey -in rec.pem -pubout -out rec.pub
secret=$(openssl rand -hex 20)
printf %s "$secret" >plain
digest=$(printf kubetpm | sha256sum | cut -d' ' -f1)
umask 077
echo 271828 >pin
echo 314159 >wrong
must tpm2_dictionarylockout --setup-parameters --max-tries=3 --recovery-time=1000 \
	--lockout-recovery-time=1000

seal() {
	run sealtool seal --name t --purpose exec-credential "$@" <plain
}
expect_clean() {
	expect 'an object or a session was left in the TPM' test "$(tpm_leftovers)" = 0
}

it 'opens with the right PIN'
seal --pin-file pin --recovery rec.pub -o t.sealed
expect_status 0
expect_clean
run sealtool unseal --pin-file pin t.sealed
expect_status 0
expect_out_is "$secret"
expect_clean

it 'takes at most seven TPM commands'
run "$tools/count-tpm-commands" --names sealtool unseal --pin-file pin t.sealed
expect_status 0
expect "$(cat "$out")" test "$(head -n 1 "$out")" -le 7

it 'the PIN is not on the bus or in the file'
run env TCTI_PCAP_FILE="$dir/pcap" "KUBETPM_TCTI=pcap:$KUBETPM_TCTI" sealtool unseal --pin-file pin t.sealed
expect_out_is "$secret"
run grep -c -a -e 271828 -e "$secret" pcap t.sealed
expect_out_is 'pcap:0
t.sealed:0
'

if has_terminals; then
	it 'asks for the PIN on a terminal'
	run sh -c '{ sleep 1; echo 271828; sleep 1; } |
		script -qec "sealtool unseal --force --pin t.sealed" /dev/null'
	expect_out "$secret"
	expect_out 'PIN'
else
	skip 'asks for the PIN on a terminal' 'no pseudo-terminals here'
fi

it 'without a PIN it asks for one, and does not use up a try'
run sealtool unseal t.sealed
expect_status 6
expect_err 'PIN'
expect_one_line
run tpm2_getcap properties-variable
expect_out 'TPM2_PT_LOCKOUT_COUNTER: 0x0'

it 'a wrong PIN is told from other failures, with the tries that are left'
run sealtool unseal --pin-file wrong t.sealed
expect_status 6
expect_err 'PIN'
expect_err '2 '
expect_no_out
expect_one_line
expect_nowhere 314159
expect_nowhere 271828
expect_clean

it 'a wrong PIN and a changed PCR: the PCR is told, no try is used up'
must tpm2_dictionarylockout --clear-lockout
seal --pcrs sha256:16 --pin-file pin -o both.sealed
expect_status 0
run sealtool unseal --pin-file pin both.sealed
expect_out_is "$secret"
must tpm2_pcrextend "16:sha256=$digest"
run sealtool unseal --pin-file wrong both.sealed
expect_status 3
expect_err 'PCR 16'
run tpm2_getcap properties-variable
expect_out 'TPM2_PT_LOCKOUT_COUNTER: 0x0'

it 'reseal keeps the PIN'
must tpm2_pcrreset 16
run sealtool reseal --pin-file pin both.sealed
expect_status 0
run sealtool unseal both.sealed
expect_status 6
run sealtool unseal --pin-file pin both.sealed
expect_out_is "$secret"

it 'lockout is told from a wrong PIN, also with the right one'
must tpm2_dictionarylockout --clear-lockout
for n in 1 2 3; do
	run sealtool unseal --pin-file wrong t.sealed
	expect "try $n" test "$status" -eq 6 -o "$status" -eq 7
done
run sealtool unseal --pin-file pin t.sealed
expect_status 7
expect_err 'lockout'
expect_one_line
expect_clean

it 'a slot without a PIN opens during lockout'
seal --pcrs sha256:16 -o nopin.sealed
run sealtool unseal nopin.sealed
expect_status 0
expect_out_is "$secret"

it 'recovery works during lockout'
run sealtool recover --key rec.pem t.sealed
expect_out_is "$secret"
must tpm2_dictionarylockout --clear-lockout

it 'a PIN file that others can read is refused'
cp pin open
chmod 644 open
run sealtool unseal --pin-file open t.sealed
expect_status 8
expect_err 'open'

it 'a PIN from a pipe is fine, an empty or long one is not'
run sh -c 'echo 271828 | sealtool unseal --pin-file /dev/stdin t.sealed'
expect_status 0
: >none
seal --pin-file none -o none.sealed
expect_status 5
head -c 33 /dev/zero | tr '\0' 7 >long
seal --pin-file long -o long.sealed
expect_status 5
run sealtool unseal --pin --pin-file pin t.sealed
expect_status 2

it 'nothing is left in the TPM'
expect_clean

done_testing
