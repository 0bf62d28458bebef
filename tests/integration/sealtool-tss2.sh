#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# TSS2 key files: other tools open ours, we open theirs.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

must start_tpm
must sealtool init
secret=$(openssl rand -hex 20)
printf %s "$secret" >plain
digest=$(printf kubetpm | sha256sum | cut -d' ' -f1)
must tpm2_pcrextend "7:sha256=$digest"
umask 077
echo 271828 >pin

expect_clean() {
	expect 'an object or a session was left in the TPM' test "$(tpm_leftovers)" = 0
}
# Loads what was cut out of a key file under its parent; the object is object.ctx.
load() {
	parent=$("$tools/sealed.py" split "$1" object.pub object.priv)
	case $parent in
	0x40000001)
		tpm2_createprimary -Q -C o -G ecc -g sha256 -c parent.ctx \
			-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt'
		parent=parent.ctx
		flush_tpm
		;;
	esac
	run tpm2_load -C "$parent" -u object.pub -r object.priv -c object.ctx
	expect_status 0
	flush_tpm # there is no resource manager: contexts are loaded when used
}

it 'export --tss2 writes a TSS2 PRIVATE KEY'
run sealtool seal --name t --purpose x --pcrs sha256:7 -o t.sealed <plain
run sealtool export --tss2 -o t.pem t.sealed
expect_status 0
expect 'PEM' grep -q 'BEGIN TSS2 PRIVATE KEY' t.pem
expect 'sealed data' sh -c "openssl asn1parse -in t.pem | grep -q '2.23.133.10.1.5'"
expect_clean

it 'tpm2-tools unseals it under the same PCR policy'
load t.pem
run tpm2_unseal -c object.ctx -p pcr:sha256:7
expect_status 0
expect_out_is "$secret"
flush_tpm

it 'and only under that policy'
must tpm2_pcrextend "7:sha256=$digest"
load t.pem
run tpm2_unseal -c object.ctx -p pcr:sha256:7
expect 'refused' test "$status" -ne 0
run tpm2_unseal -c object.ctx
expect 'refused without policy' test "$status" -ne 0
flush_tpm
must reset_tpm
must tpm2_pcrextend "7:sha256=$digest"

it 'tpm2-tools unseals it with a PIN'
run sealtool seal --name t --purpose x --pin-file pin -o pin.sealed <plain
run sealtool export --tss2 --pin-file pin -o pin.pem pin.sealed
expect_status 0
load pin.pem
tpm2_startauthsession -S session.ctx --policy-session
tpm2_policyauthvalue -Q -S session.ctx
run tpm2_unseal -c object.ctx -p session:session.ctx+271828
expect_status 0
expect_out_is "$secret"
flush_tpm

it 'tpm2-tools unseals it without any policy'
run sealtool seal --name t --purpose x -o bare.sealed <plain
run sealtool export --tss2 -o bare.pem bare.sealed
expect_status 0
load bare.pem
run tpm2_unseal -c object.ctx
expect_out_is "$secret"
flush_tpm

it 'import opens our own'
run sealtool import --name back --purpose x --pcrs sha256:7 -o back.sealed t.pem
expect_status 0
run sealtool unseal back.sealed
expect_out_is "$secret"
run sealtool import --name back --purpose x -o back.sealed bare.pem
expect_status 0
run sealtool unseal back.sealed
expect_out_is "$secret"
expect_clean

it 'a secret of 128 bytes goes out and in, one of 129 does not'
head -c 128 /dev/urandom >most
run sealtool seal --name t --purpose x -o most.sealed <most
run sealtool export --tss2 -o most.pem most.sealed
expect_status 0
run sealtool import --name t --purpose x -o back.sealed most.pem
run sealtool unseal back.sealed
expect_out_same most
head -c 129 /dev/urandom >more.bin
run sealtool seal --name t --purpose x -o more.sealed <more.bin
run sealtool export --tss2 -o more.pem more.sealed
expect_status 5
expect_err 128
expect_one_line
expect 'no file is made' test ! -e more.pem

it 'import opens what tpm2-tools made: sealed data, no policy, tpm2_encodeobject'
tpm2_create -Q -C 0x81000001 -i plain -u theirs.pub -r theirs.priv
must tpm2_encodeobject -C 0x81000001 -u theirs.pub -r theirs.priv -o theirs.pem
flush_tpm
run sealtool import --name t --purpose x -o theirs.sealed theirs.pem
expect_status 0
run sealtool unseal theirs.sealed
expect_out_is "$secret"
expect_clean

it 'the same without dictionary-attack protection'
tpm2_create -Q -C 0x81000001 -i plain -a 'fixedtpm|fixedparent|userwithauth|noda' -u theirs.pub -r theirs.priv
must tpm2_encodeobject -C 0x81000001 -u theirs.pub -r theirs.priv -o theirs.pem
flush_tpm
run sealtool import --name t --purpose x -o theirs.sealed theirs.pem
expect_status 0
run sealtool unseal theirs.sealed
expect_out_is "$secret"

it 'the same with a PIN'
tpm2_create -Q -C 0x81000001 -i plain -p 271828 -u theirs.pub -r theirs.priv
must tpm2_encodeobject -C 0x81000001 -u theirs.pub -r theirs.priv -p -o theirs.pem
flush_tpm
run sealtool import --name t --purpose x --key-auth-file pin -o theirs.sealed theirs.pem
expect_status 0
run sealtool unseal theirs.sealed
expect_out_is "$secret"
run sealtool import --name t --purpose x -o never.sealed theirs.pem
expect_status 6
expect_clean

it 'under a primary key of the owner hierarchy, DER, PolicyPCR in three byte orders'
cat >encode.py <<'EOT'
"""encode.py FORM PUB PRIV PARENT EMPTYAUTH PCRDIGEST: a TSS2 key file for PCR sha256:7, in DER"""
import sys
form, pub, priv, parent, empty, pcr = sys.argv[1:]
def der(tag, content):
    n = len(content)
    size = (n.bit_length() + 7) // 8
    head = bytes([n]) if n < 128 else bytes([0x80 | size]) + n.to_bytes(size, "big")
    return bytes([tag]) + head + content
def integer(n):
    return der(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))
selection = bytes.fromhex("00000001000b03800000")
digest = bytes.fromhex(pcr)
body = {"draft": len(digest).to_bytes(2, "big") + digest + selection,
        "engine": selection + digest,
        "grub": b"\0\0" + selection}[form]
policy = der(0xA1, der(0x30, der(0x30, der(0xA0, integer(0x17F)) + der(0xA1, der(4, body)))))
read = lambda f: open(f, "rb").read()
sys.stdout.buffer.write(der(0x30, der(6, bytes([0x67, 0x81, 0x05, 0x0A, 0x01, 0x05]))
    + der(0xA0, der(1, bytes([int(empty)]))) + policy + integer(int(parent, 16))
    + der(4, read(pub)) + der(4, read(priv))))
EOT
tpm2_startauthsession -S session.ctx
tpm2_policypcr -Q -S session.ctx -l sha256:7 -L pcr.policy
flush_tpm
tpm2_createprimary -Q -C o -G ecc -g sha256 -c parent.ctx \
	-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt'
flush_tpm
tpm2_create -Q -C parent.ctx -i plain -L pcr.policy -a 'fixedtpm|fixedparent' -u p.pub -r p.priv
flush_tpm
tpm2_pcrread -Q sha256:7 -o pcr7
pcrdigest=$(sha256sum pcr7 | cut -d' ' -f1)
for form in draft engine grub; do
	python3 encode.py $form p.pub p.priv 40000001 255 "$pcrdigest" >$form.der
	run sealtool import --name t --purpose x -o $form.sealed $form.der
	expect_status 0
	run sealtool unseal $form.sealed
	expect_out_is "$secret"
done
expect_clean

it 'their policy is executed, not believed'
must tpm2_pcrextend "7:sha256=$digest"
run sealtool import --name t --purpose x -o never.sealed draft.der
expect_status 3
must reset_tpm
must tpm2_pcrextend "7:sha256=$digest"

it 'a key file of another machine is told'
(
	start_tpm
	sealtool init >/dev/null
	sealtool import --name t --purpose x -o never.sealed bare.pem
	code=$?
	stop_tpm
	exit $code
) >"$out" 2>"$err"
status=$?
expect_status 10

it 'damaged key files are malformed input'
for n in 1 10 50 100 200; do
	head -c "$n" t.pem >cut.pem
	run sealtool import --name t --purpose x -o never.sealed cut.pem
	expect_status 5
	expect_one_line
done
openssl asn1parse -in t.pem -noout -out t.der
for n in 0 1 4 12 20 40; do
	python3 -c '
import sys
d = bytearray(open("t.der", "rb").read()); d[int(sys.argv[1])] ^= 0x55
open("bad.der", "wb").write(d)' $n
	run sealtool import --name t --purpose x -o never.sealed bad.der
	expect "byte $n: status $status" test "$status" -eq 5 -o "$status" -eq 10 -o "$status" -eq 3 -o "$status" -eq 2
	expect_nowhere "$secret"
done
: >empty
run sealtool import --name t --purpose x -o never.sealed empty
expect_status 5
run sealtool import --name t --purpose x -o never.sealed t.sealed
expect_status 5
head -c 20000 /dev/zero >zeros
run sealtool import --name t --purpose x -o never.sealed zeros
expect_status 5
expect 'no file is made' test ! -e never.sealed
expect_clean

it 'nothing is left in the TPM'
expect_clean

done_testing
