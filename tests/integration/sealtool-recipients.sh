#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Several recipients: other machines' TPMs, which are not there when the file is made, and changes.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out rec.pem 2>/dev/null
openssl pkey -in rec.pem -pubout -out rec.pub
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out rec2.pem 2>/dev/null
openssl pkey -in rec2.pem -pubout -out rec2.pub
secret=$(openssl rand -hex 20)
printf %s "$secret" >plain
digest=$(printf kubetpm | sha256sum | cut -d' ' -f1)

expect_clean() {
	expect 'an object or a session was left in the TPM' test "$(tpm_leftovers)" = 0
}

must start_tpm
b=$tpm_dir
must sealtool init
must tpm2_pcrextend "7:sha256=$digest"

it 'a machine exports its storage key and its PCRs'
run sealtool srk -o b.pub
expect_status 0
expect_no_out
run sealtool pcrs --json
expect_status 0
cp "$out" b.pcrs
run tpm2_readpublic -c 0x81000001 -o srk.tss -f tss
expect 'a TPM2B_PUBLIC, as tpm2-tools writes it' cmp srk.tss b.pub
run sealtool srk --json
expect_json 'j["handle"]' 0x81000001
expect_clean

must start_tpm
a=$tpm_dir
must sealtool init

it 'the file is sealed for it elsewhere'
run sealtool seal --name x --purpose kms --for b.pub --for-pcrs b.pcrs -o x.sealed <plain
expect_status 0
expect_json 'len(j["recipients"])' 1 x.sealed
use_tpm "$b"
run sealtool unseal x.sealed
expect_status 0
expect_out_is "$secret"
expect_clean

it 'no TPM is needed to seal it'
run sealtool seal --tcti swtpm:path=/nonexistent --name x --purpose kms --for b.pub \
	--for-pcrs b.pcrs -o x2.sealed <plain
expect_status 0
run sealtool unseal x2.sealed
expect_out_is "$secret"

it 'an imported slot takes one TPM command more'
run "$tools/count-tpm-commands" --names sealtool unseal x.sealed
expect_status 0
expect "$(cat "$out")" test "$(head -n 1 "$out")" -le 7

it 'its PCRs bind it'
must tpm2_pcrextend "11:sha256=$digest"
run sealtool unseal x.sealed
expect_status 3
expect_err 'PCR 11'
expect_clean
must reset_tpm
must tpm2_pcrextend "7:sha256=$digest"
run sealtool unseal x.sealed
expect_status 0

it 'on another machine it is the wrong TPM'
use_tpm "$a"
run sealtool unseal x.sealed
expect_status 10
expect_err x.sealed
expect_one_line
expect_no_out
expect_clean

it 'one file for this TPM, another machine and two recovery keys'
run sealtool seal --name y --purpose exec-credential --pcrs sha256:7 --for b.pub --for-pcrs b.pcrs \
	--recovery rec.pub --recovery rec2.pub -o y.sealed <plain
expect_status 0
expect_json 'len(j["recipients"])' 4 y.sealed
for t in "$a" "$b"; do
	use_tpm "$t"
	run sealtool unseal y.sealed
	expect_status 0
	expect_out_is "$secret"
	expect_clean
done
for k in rec rec2; do
	run sealtool recover --key $k.pem y.sealed
	expect_out_is "$secret"
done
use_tpm "$a"

it 'recipient list needs no TPM'
run env KUBETPM_TCTI=swtpm:path=/nonexistent sealtool recipient list --json y.sealed
expect_status 0
expect_json '[r["kind"] for r in j["recipients"]]' '["tpm2", "tpm2", "recovery", "recovery"]'
run sealtool recipient list y.sealed
expect_status 0

it 'recipient add'
run sealtool seal --name z --purpose exec-credential --pcrs sha256:7 -o z.sealed <plain
cp z.sealed z.before
run sealtool recipient add --recovery rec.pub z.sealed
expect_status 0
run sealtool recover --key rec.pem z.sealed
expect_out_is "$secret"
run sealtool unseal z.sealed
expect_out_is "$secret"
run sealtool recipient add --for b.pub --for-pcrs b.pcrs z.sealed
expect_status 0
use_tpm "$b"
run sealtool unseal z.sealed
expect_out_is "$secret"
use_tpm "$a"
expect_clean

it 'and the content key is a new one each time'
expect 'ciphertext' test "$("$tools/sealed.py" get z.before 'j["ciphertext"]')" != \
	"$("$tools/sealed.py" get z.sealed 'j["ciphertext"]')"

it 'the same recipient twice is refused'
cp z.sealed z.before
run sealtool recipient add --recovery rec.pub z.sealed
expect_status 2
expect 'the file is the old one' cmp z.before z.sealed

it 'recipient remove locks it out'
run sealtool recipient remove --slot 1 z.sealed
expect_status 0
expect_json 'len(j["recipients"])' 2 z.sealed
run sealtool recover --key rec.pem z.sealed
expect_status 5
run sealtool unseal z.sealed
expect_status 0
expect_out_is "$secret"
use_tpm "$b"
run sealtool unseal z.sealed
expect_status 0
use_tpm "$a"

it 'the removed slot, put back, opens nothing'
"$tools/sealed.py" edit z.sealed \
	'j["recipients"].append(File("z.before").document["recipients"][1])' >forged.sealed
run sealtool recover --key rec.pem forged.sealed
expect_status 5
"$tools/sealed.py" edit z.sealed '
o = File("z.before")
j["recipients"].insert(1, o.document["recipients"][1])
h["recipients"].insert(1, o.header["recipients"][1])' >forged.sealed
run sealtool recover --key rec.pem forged.sealed
expect_status 5
expect_nowhere "$secret"

it 'the last recipient, and one that is not there, cannot be removed'
run sealtool seal --name r --purpose x --recovery rec.pub -o r.sealed <plain
run sealtool recipient remove --key rec.pem --slot 0 r.sealed
expect_status 2
run sealtool recipient remove --slot 7 z.sealed
expect_status 2
run sealtool recipient remove --slot one z.sealed
expect_status 2

it 'the recovery key can stand in for the TPM'
run env KUBETPM_TCTI=swtpm:path=/nonexistent sealtool recipient add --no-tpm --key rec.pem \
	--recovery rec2.pub r.sealed
expect_status 0
run sealtool recover --key rec2.pem r.sealed
expect_out_is "$secret"

it 'who cannot open it cannot change its recipients'
cp r.sealed r.before
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out stranger.pem 2>/dev/null
run sealtool recipient remove --key stranger.pem --slot 0 r.sealed
expect_status 5
expect 'the file is the old one' cmp r.before r.sealed

it 'a key that is no storage key is refused as --for'
tpm2_createprimary -Q -C o -G ecc -c sign.ctx -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign'
tpm2_readpublic -Q -c sign.ctx -o sign.pub -f tss
tpm2_flushcontext -t
run sealtool seal --name x --purpose x --for sign.pub -o never.sealed <plain
expect_status 8
run sealtool seal --name x --purpose x --for b.pcrs -o never.sealed <plain
expect_status 5
head -c 50 b.pub >short.pub
run sealtool seal --name x --purpose x --for short.pub -o never.sealed <plain
expect_status 5
run sealtool seal --name x --purpose x --for b.pub --for-pcrs b.pub -o never.sealed <plain
expect_status 5
run sealtool seal --name x --purpose x --for-pcrs b.pcrs --recovery rec.pub -o never.sealed <plain
expect_status 2
expect 'no file is made' test ! -e never.sealed

it 'for an RSA storage key too'
(
	use_tpm "$a"
	start_tpm
	tpm2_createprimary -Q -C o -G rsa2048 -c c.ctx \
		-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt'
	tpm2_evictcontrol -Q -C o -c c.ctx 0x81000001
	tpm2_flushcontext -t
	sealtool srk -o c.pub
	KUBETPM_TCTI=swtpm:path=$a/tpm sealtool seal --name x --purpose x --for c.pub -o c.sealed <plain
	sealtool unseal c.sealed
	code=$?
	stop_tpm
	exit $code
) >"$out" 2>"$err"
status=$?
expect_status 0
expect_out "$secret"
tpm2_flushcontext -t

it 'nothing is left in the TPMs'
expect_clean
use_tpm "$b"
expect_clean

done_testing
