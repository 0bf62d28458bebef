#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Hostile sealed files: each gets its status and one line, and opens nothing.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

must start_tpm
must sealtool init
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out rec.pem 2>/dev/null
openssl pkey -in rec.pem -pubout -out rec.pub
secret=$(openssl rand -hex 20)
printf %s "$secret" >plain
printf 'another one' >other
sealtool seal --name t --purpose exec-credential --pcrs sha256:16 --recovery rec.pub -o t.sealed <plain 2>/dev/null
sealtool seal --name t --purpose exec-credential --pcrs sha256:16 --recovery rec.pub -o o.sealed <other 2>/dev/null

# refused STATUS...: neither the TPM nor the recovery key opens bad.sealed, show does not crash on it
refused() {
	for verb in unseal 'recover --key rec.pem'; do
		# shellcheck disable=SC2086 # a verb and its options
		run sealtool $verb bad.sealed
		case " $* " in
		*" $status "*) ;;
		*) wrong "expected one of the statuses $*" ;;
		esac
		expect_one_line
		expect_err bad.sealed
		expect_nowhere "$secret"
	done
	run sealtool show bad.sealed
	expect 'show' sh -c "case $status in 0|5) ;; *) false ;; esac"
}
edit() {
	"$tools/sealed.py" edit t.sealed "$1" >bad.sealed
}

it 'cut off anywhere'
size=$(stat -c %s t.sealed)
for n in 0 1 2 10 100 500 1000 $((size - 30)) $((size - 2)); do
	head -c "$n" t.sealed >bad.sealed
	refused 5
done

it 'oversized'
{
	head -c -3 t.sealed
	head -c 3000000 /dev/zero | tr '\0' A
	printf '"}\n'
} >bad.sealed
refused 5
head -c 100000 /dev/zero | tr '\0' '[' >bad.sealed
refused 5

it 'not JSON, not UTF-8, something behind the end'
for text in 'null' '[]' '{}' '"x"' '{"protected":1}' '{"protected":""}' 'garbage' '{"a":1e999}'; do
	printf %s "$text" >bad.sealed
	refused 5
done
printf '{"protected":"\377\376"}' >bad.sealed
refused 5
{
	cat t.sealed
	echo '{}'
} >bad.sealed
refused 5
head -c 5000 /dev/urandom >bad.sealed
refused 5

it 'a name that occurs twice'
sed 's/"iv":/"iv":"AAAAAAAAAAAAAAAA","iv":/' t.sealed >bad.sealed
refused 5
sed 's/"protected":/"protected":"e30","protected":/' t.sealed >bad.sealed
refused 5
# inside the protected header
"$tools/sealed.py" edit t.sealed '
text = json.dumps(h)
j["protected"] = encode(text.replace("\"name\":", "\"name\": \"x\", \"name\":").encode())' >bad.sealed
refused 5

it 'members that nobody knows'
edit 'j["extra"] = 1'
refused 5
edit 'h["crit"] = ["x"]'
refused 5
edit 'j["recipients"][0]["header"]["extra"] = 1'
refused 5

it 'a changed protected header'
for change in 'h["purpose"] = "kms"' 'h["name"] = "u"' 'h["iat"] += 1' \
	'h["kid"] = "00000000-0000-4000-8000-000000000000"'; do
	edit "$change"
	refused 5
done
edit 'h["enc"] = "A128GCM"'
refused 5
edit 'h["typ"] = "JWE"'
refused 5
edit 'del h["recipients"][1]; del j["recipients"][1]'
refused 5
edit 'h["recipients"].reverse(); j["recipients"].reverse()'
refused 5
edit 'h["recipients"].reverse()'
refused 5

it 'changed ciphertext, IV or tag'
for part in ciphertext iv tag; do
	edit "
d = bytearray(decode(j['$part'])); d[-1] ^= 1
j['$part'] = encode(bytes(d))"
	refused 5
	edit "j['$part'] = ''"
	refused 5
	edit "del j['$part']"
	refused 5
done

it 'a slot copied from another file'
edit 'j["recipients"] = File("o.sealed").document["recipients"]'
refused 5
edit 'j["recipients"][0] = File("o.sealed").document["recipients"][0]
j["recipients"][1] = File("o.sealed").document["recipients"][1]
h["recipients"] = File("o.sealed").header["recipients"]'
refused 5

it 'a flipped bit in a slot'
# The object's public and private area are the last two elements of the key file.
for at in 1 10 40 90 130 160 190; do
	edit "
d = bytearray(slot(0)); d[-$at] ^= 4
set_slot(0, d)
e = bytearray(slot(1)); e[5] ^= 4
set_slot(1, e)"
	refused 5 10
done

it 'a replaced parent key: the slot is another machine'"'"'s'
tpm2_createprimary -Q -C o -G ecc -g sha256 -c fake.ctx -P '' \
	-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt'
tpm2_readpublic -Q -c fake.ctx -o fake.pub -f tss
tpm2_flushcontext -t
"$tools/sealed.py" fake-parent t.sealed fake.pub >bad.sealed
run sealtool unseal bad.sealed
expect_status 10
expect_one_line
expect_no_out
run sealtool recover --key rec.pem bad.sealed
expect_status 5

it 'a storage key that was replaced in the TPM is noticed'
tpm2_evictcontrol -Q -C o -c 0x81000001
tpm2_createprimary -Q -C o -G ecc -g sha256 -c fake.ctx \
	-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt'
tpm2_evictcontrol -Q -C o -c fake.ctx 0x81000001
tpm2_flushcontext -t
run sealtool unseal t.sealed
expect_status 10
expect_no_out
tpm2_evictcontrol -Q -C o -c 0x81000001
run sealtool unseal t.sealed
expect_status 12
run sealtool init
run sealtool unseal t.sealed
expect_status 0
expect_out_is "$secret"

it 'another purpose than the one asked for'
run sealtool unseal --purpose kms t.sealed
expect_status 8
expect_err exec-credential
expect_no_out
run sealtool unseal --purpose exec-credential t.sealed
expect_out_is "$secret"

it 'no verb that changes a file takes a hostile one'
edit 'h["purpose"] = "kms"'
cp bad.sealed bad.before
for verb in reseal 'reseal --key rec.pem' 'recipient add --recovery rec.pub' \
	'recipient remove --slot 0' 'export --tss2'; do
	# shellcheck disable=SC2086 # a verb and its options
	run sealtool $verb bad.sealed
	expect "$verb: status $status" test "$status" -ne 0
	expect "$verb: the file is as it was" cmp bad.before bad.sealed
done

it 'recipients come from the protected header: unprotected words do not get into a resealed file'
edit 'j["recipients"][0]["header"]["policy"] = {"pin": False}'
cp bad.sealed bad.before
run sealtool recipient add --key rec.pem --recovery rec.pub bad.sealed
expect "status $status" test "$status" -ne 0
run sealtool reseal --key rec.pem bad.sealed
expect_status 8
expect 'the file is as it was' cmp bad.before bad.sealed

it 'a folder, a device, a file nobody may read'
mkdir folder
run sealtool unseal folder
expect "status $status" sh -c "case $status in 2|8) ;; *) false ;; esac"
expect_one_line
run sealtool unseal /dev/zero
expect_status 8

it 'nothing is left in the TPM'
expect 'leftovers' test "$(tpm_leftovers)" = 0

done_testing
