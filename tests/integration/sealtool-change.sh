#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Changing a file in place must not set a PIN nobody chose, lose another's change, or make a file that
# its owner did not ask for.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

must start_tpm
must sealtool init
secret=$(openssl rand -hex 20)
printf %s "$secret" >plain
for name in rec r1 r2 r3 r4 r5; do
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $name.pem 2>/dev/null
	openssl pkey -in $name.pem -pubout -out $name.pub
done
for pin in right wrong other; do
	printf '%s\n' $pin >$pin
done
chmod 600 right wrong other

clear_lockout() {
	tpm2_dictionarylockout --clear-lockout >/dev/null 2>&1
}
# opens_with PIN-FILE FILE: with this PIN, and so that only a slot with a PIN can have opened
opens_with() {
	run sealtool unseal --pin-file "$1" "$2"
	expect_status 0
	expect_out_is "$secret"
}
seal() { # FILE OPTION...
	file=$1
	shift
	sealtool seal --name t --purpose p "$@" -o "$file" <plain 2>/dev/null
}

it 'a PIN that opening did not prove is not set without a word'
seal two.sealed --pcrs sha256:23
must sealtool recipient add --pcrs sha256:16 --new-pin-file right two.sealed
cp two.sealed before
run sealtool reseal --pin-file wrong two.sealed
expect_status 6
expect_err --new-pin
expect 'the file is as it was' cmp before two.sealed
run sealtool recipient add --pin-file wrong --recovery r1.pub two.sealed
expect_status 6
expect 'the file is as it was' cmp before two.sealed

it 'the recovery key does not change a PIN by the way'
seal pin.sealed --pin-file right --recovery rec.pub
cp pin.sealed before
run sealtool recipient add --key rec.pem --pin-file wrong --recovery r1.pub pin.sealed
expect_status 6
expect_err --new-pin
run sealtool reseal --key rec.pem pin.sealed
expect_status 6
expect 'the file is as it was' cmp before pin.sealed
opens_with right pin.sealed

it 'a new PIN can be set with the old one, and with the recovery key'
run sealtool reseal --pin-file right --new-pin-file other pin.sealed
expect_status 0
opens_with other pin.sealed
run sealtool unseal --pin-file right pin.sealed
expect_status 6
clear_lockout
run sealtool reseal --key rec.pem --new-pin-file right pin.sealed
expect_status 0
opens_with right pin.sealed

it 'the PIN survives changes that it was proven for'
run sealtool recipient add --pin-file right --recovery r2.pub pin.sealed
expect_status 0
opens_with right pin.sealed
run sealtool recipient add --pin-file right --this-tpm pin.sealed
expect_status 0
run sealtool unseal pin.sealed
expect_status 0
run sealtool show --json pin.sealed
expect_json '[r["policy"]["pin"] for r in j["recipients"] if r["kind"] == "tpm2"]' '[true, false]'

it 'one wrong PIN costs one try, however many slots have it'
seal many.sealed --pcrs sha256:0 --pin-file right
must sealtool recipient add --pin-file right --new-pin-file right --pcrs sha256:1 many.sealed
must sealtool recipient add --pin-file right --new-pin-file right --pcrs sha256:2 many.sealed
clear_lockout
run sealtool unseal --pin-file wrong many.sealed
expect_status 6
expect_err '2 tries'
opens_with right many.sealed
clear_lockout

it 'changes at the same time are all kept'
seal parallel.sealed --pcrs sha256:16
for n in 1 2 3 4 5; do
	sealtool recipient add --recovery r$n.pub parallel.sealed 2>err.$n &
	echo $! >>pids
done
failed=0
while read -r pid; do
	wait "$pid" || failed=1
done <pids
expect 'all worked' test $failed -eq 0
for n in 1 2 3 4 5; do
	run sealtool recover --key r$n.pem parallel.sealed
	expect_status 0
	expect_out_is "$secret"
done

it 'reseal changes the slot that opened, and no other'
future=$(printf '%064d' 7)
seal future.sealed --pcrs sha256:23
must sealtool recipient add --pcrs "sha256:23=$future" future.sealed
expect_err 'does not have the given value'
run sealtool reseal future.sealed
expect_status 0
run sealtool show --json future.sealed
expect_json 'j["recipients"][1]["policy"]["pcrs"]["sha256"]["23"]' "$future"
run sealtool reseal --slot 1 future.sealed
expect_status 2
expect_err 'demands already'
run sealtool reseal --slot 7 future.sealed
expect_status 2

it 'export takes the policy of the slot that opened'
seal first.sealed --pcrs "sha256:23=$future" --recovery rec.pub
must sealtool recipient add --key rec.pem --pcrs sha256:16 first.sealed
run sealtool export --tss2 -o first.pem first.sealed
expect_status 0
run sealtool import --name n --purpose p -o back.sealed first.pem
expect_status 0
run sealtool unseal back.sealed
expect_out_is "$secret"

it 'export asks for a new PIN, and sets the one that was proven'
run sealtool export --tss2 --new-pin-file other -o with.pem first.sealed
expect_status 0
run sealtool import --name n --purpose p -o back.sealed with.pem
expect_status 6
clear_lockout
run sealtool import --name n --purpose p --key-auth-file other -o back.sealed with.pem
expect_status 0
run sealtool export --tss2 --owner-auth-file wrong -o no.pem first.sealed
expect_status 6
expect 'no file was made' test ! -e no.pem
clear_lockout

it "this machine's slots stay this machine's where its TPM cannot be reached"
seal here.sealed --pcrs sha256:16 --recovery rec.pub
cp here.sealed before
run sealtool recipient add --tcti swtpm:path=/nonexistent --key rec.pem --recovery r1.pub here.sealed
expect_status 4
expect_err --no-tpm
expect 'the file is as it was' cmp before here.sealed

it 'a bank that is not active is refused, whatever values are given'
if tpm2_pcrallocate sha256:all+sha1:none+sha384:none+sha512:none >/dev/null 2>&1; then
	reset_tpm
	run sealtool seal --name t --purpose p --pcrs "sha384:0=$(printf '%096d' 1)" -o x.sealed <plain
	expect_status 12
	expect 'no file was made' test ! -e x.sealed
fi

it 'a damaged slot is damaged, not from another machine'
python3 - here.sealed damaged.sealed <<'EOT'
import json, sys
j = json.load(open(sys.argv[1]))
k = j["recipients"][0]["encrypted_key"]
j["recipients"][0]["encrypted_key"] = k[:-8] + ("B" if k[-8] != "B" else "C") + k[-7:]
json.dump(j, open(sys.argv[2], "w"))
EOT
run sealtool unseal damaged.sealed
expect_status 5
expect_one_line

it 'a TPM that hangs can be left: SIGTERM twice'
"$tools/tpm-proxy.py" "$tpm_dir/tpm" "$tpm_dir/slow" 60 3 >proxy.log 2>&1 &
proxy=$!
tpm_wait_for test -S "$tpm_dir/slow"
# shellcheck disable=SC2016 # the inner shell expands it
run timeout -k 20 20 sh -c 'sealtool unseal --tcti "swtpm:path=$1" here.sealed & pid=$!
	sleep 0.5; kill -TERM $pid; sleep 0.3; kill -TERM $pid; wait $pid' sh "$tpm_dir/slow"
expect_status 143
tpm_end $proxy
flush_tpm

it '-o - and /dev/stdout are standard output, and no file'
{
	echo before
	sealtool unseal -o - here.sealed
	sealtool unseal -o /dev/stdout here.sealed
	echo after
} >all 2>/dev/null
expect 'nothing was replaced' grep -q before all
expect 'twice' test "$(grep -o "$secret" all | wc -l)" -eq 2
expect 'no file called -' test ! -e ./-

it 'a recovery key with a compressed point is a key like any other'
openssl ec -in rec.pem -pubout -conv_form compressed -out compressed.pub 2>/dev/null
seal compressed.sealed --recovery compressed.pub
run sealtool recover --key rec.pem compressed.sealed
expect_status 0
expect_out_is "$secret"

it 'a refusal with many PCRs stays readable'
seal lots.sealed --pcrs sha256:0,1,2,3,4,5,6,7,8,9,10,11,12 --recovery rec.pub
for n in 0 1 2 3 4 5 6 7 8 9 10 11 12; do
	tpm2_pcrextend "$n:sha256=$(printf '%064d' 1)"
done
run sealtool unseal lots.sealed
expect_status 3
expect_one_line
expect_err 'PCR 0 (sha256): expected'
expect_err 'and also sha256:3,4,5,6,7,8,9,10,11,12'
expect_err 'sealtool reseal --key'

done_testing
