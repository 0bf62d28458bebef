#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# PCR policies: refusal that names the PCR, values that are not there yet, sealing anew, the lint.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

must start_tpm
must sealtool init
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out rec.pem 2>/dev/null
openssl pkey -in rec.pem -pubout -out rec.pub
secret=$(openssl rand -hex 20)
printf %s "$secret" >plain
zeros=$(printf '%064d' 0)
digest=$(printf kubetpm | sha256sum | cut -d' ' -f1)
# PCR that was zero, extended once with SHA-256 of "kubetpm"
extended=d21c0189a637554aa4872c30311363c9a00e8eb8bc7331f2ec4df0789c5e9cc7

seal() {
	run sealtool seal --name t --purpose exec-credential "$@" <plain
}
expect_clean() {
	expect 'an object or a session was left in the TPM' test "$(tpm_leftovers)" = 0
}

it 'pcrs reads what tpm2-tools reads'
must tpm2_pcrextend "8:sha256=$digest,sha384=$digest$(printf '%032d' 0)"
run tpm2_pcrread sha384:8
value=$(sed -n 's/.*8 : 0x//p' "$out" | tr 'A-F' 'a-f')
run sealtool pcrs --json
expect_status 0
expect_json 'j["pcrs"]["sha256"]["8"]' "$extended"
expect_json 'len(j["pcrs"]["sha256"])' 24
run sealtool pcrs --json --pcrs sha384:8,9
expect_status 0
expect_json 'j["pcrs"]["sha384"]["8"]' "$value"
expect_json 'len(j["pcrs"]["sha384"])' 2
run sealtool pcrs --pcrs sha256:8,16
expect_status 0
expect_out "$extended"
expect_out "$zeros"
expect_clean

it 'the policy is the one that the TPM computes itself'
seal --pcrs sha256:8,16 --recovery rec.pub -o t.sealed
expect_status 0
must tpm2_startauthsession -S session.ctx --policy-session
must tpm2_policypcr -S session.ctx -l sha256:8,16 -L pcr.policy
must tpm2_flushcontext session.ctx
expect 'the digest' test "$("$tools/sealed.py" get t.sealed 'h["recipients"][0]["policy"]')" = \
	"$(od -An -v -tx1 pcr.policy | tr -d ' \n')"

it 'a changed PCR is named, with expected and present value'
run tpm2_pcrextend "16:sha256=$digest"
run sealtool unseal t.sealed
expect_status 3
expect_err 't.sealed'
expect_err 'PCR 16'
expect_err "$zeros"
expect_err "$extended"
expect 'PCR 8, which fits, is not blamed' sh -c "! grep -q 'PCR 8 ' '$err'"
expect_no_out
expect_one_line
expect_clean

it 'reseal with the recovery key binds it to the present'
run sealtool reseal --key rec.pem t.sealed
expect_status 0
run sealtool unseal t.sealed
expect_status 0
expect_out_is "$secret"
expect_clean

it 'reseal without a way to open it leaves the file alone'
cp t.sealed before
run tpm2_pcrextend "16:sha256=$digest"
run sealtool reseal t.sealed
expect_status 3
expect_err 'PCR 16'
expect 'the file is the old one' cmp before t.sealed
run sealtool reseal --key rec.pem t.sealed
expect_status 0

it 'sealing anew changes the content key, and keeps name, purpose and recipients'
cp t.sealed before
run sealtool reseal t.sealed
expect_status 0
for e in 'h["name"] + h["purpose"] + h["kid"]' '[r["kind"] for r in h["recipients"]]'; do
	expect "$e" test "$("$tools/sealed.py" get before "$e")" = "$("$tools/sealed.py" get t.sealed "$e")"
done
for e in 'j["iv"]' 'j["ciphertext"]' 'j["recipients"][0]["encrypted_key"]' \
	'j["recipients"][1]["encrypted_key"]'; do
	expect "$e is new" test "$("$tools/sealed.py" get before "$e")" != \
		"$("$tools/sealed.py" get t.sealed "$e")"
done
run sealtool recover --key rec.pem t.sealed
expect_out_is "$secret"

it 'a value may be given for a PCR that does not have it yet'
seal --pcrs "sha256:7,23=$extended" -o future.sealed
expect_status 0
expect 'the value' test \
	"$("$tools/sealed.py" get future.sealed 'j["recipients"][0]["header"]["policy"]["pcrs"]["sha256"]["23"]')" = \
	"$extended"
run sealtool unseal future.sealed
expect_status 3
expect_err 'PCR 23'
must tpm2_pcrextend "23:sha256=$digest"
run sealtool unseal future.sealed
expect_status 0
expect_out_is "$secret"

it 'reseal to given values'
must tpm2_pcrreset 23
run sealtool reseal --pcrs "sha256:23=$extended" future.sealed
expect_status 3
must tpm2_pcrextend "23:sha256=$digest"
run sealtool reseal --pcrs "sha256:23=$zeros" future.sealed
expect_status 0
run sealtool unseal future.sealed
expect_status 3
must tpm2_pcrreset 23
run sealtool unseal future.sealed
expect_out_is "$secret"

it 'several banks in one policy'
seal --pcrs sha256:8+sha384:8 -o banks.sealed
expect_status 0
run sealtool unseal banks.sealed
expect_out_is "$secret"
must tpm2_pcrextend "8:sha384=$digest$(printf '%032d' 0)"
run sealtool unseal banks.sealed
expect_status 3
expect_err 'sha384'
expect_clean

it 'after a power cycle with the same boot it opens again'
must reset_tpm
run sealtool seal --name t --purpose x --pcrs sha256:0,4,7 -o boot.sealed <plain
expect_status 0
must tpm2_pcrextend "4:sha256=$digest"
run sealtool unseal boot.sealed
expect_status 3
expect_err 'PCR 4'
must reset_tpm
run sealtool unseal boot.sealed
expect_status 0
expect_out_is "$secret"

it 'the lint gives reasons, and only warns'
seal --pcrs sha256:7 -o lint.sealed
expect_status 0
expect_err pcr-7-alone
expect_err pcr-never-extended
seal --pcrs sha256:0,16 -o lint.sealed
expect_err pcr-resettable
seal --pcrs sha256:0,10 -o lint.sealed
expect_err pcr-unstable
run tpm2_pcrextend "7:sha256=$digest"
run tpm2_pcrextend "11:sha256=$digest"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>/dev/null | openssl pkey -pubout -out lint.pub
seal --pcrs sha256:7,11 --recovery lint.pub -o lint.sealed
expect_status 0
expect_no_err

it 'show flags words that do not agree with the digest'
run sealtool show --json lint.sealed
expect_status 0
expect_json 'j["recipients"][0]["wordsAgree"]' true
"$tools/sealed.py" edit lint.sealed \
	'j["recipients"][0]["header"]["policy"]["pcrs"]["sha256"]["7"] = "00" * 32' >lied.sealed
run sealtool show --json lied.sealed
expect_status 5
expect_json 'j["recipients"][0]["wordsAgree"]' false
run sealtool show lied.sealed
expect_status 5
expect_out 'WARNING'
expect_err lied.sealed

it 'a slot whose words lie is not believed'
run sealtool unseal lied.sealed
expect 'status 3, 5 or 8' sh -c "case $status in 3|5|8) ;; *) false ;; esac"
expect_nowhere "$secret"
run sealtool reseal lied.sealed
expect 'not sealed anew to the lie' test "$status" -ne 0
expect_clean

it 'unsealing takes at most six TPM commands'
run "$tools/count-tpm-commands" --names sealtool unseal lint.sealed
expect_status 0
expect "$(cat "$out")" test "$(head -n 1 "$out")" -le 6

it 'nothing is left in the TPM'
expect_clean

done_testing
