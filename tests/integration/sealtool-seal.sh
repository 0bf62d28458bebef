#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sealing and opening: init, seal, unseal, show, and what they refuse.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

must start_tpm
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out rec.pem 2>/dev/null
openssl pkey -in rec.pem -pubout -out rec.pub
secret=$(openssl rand -hex 20)

seal() { # secret's file, arguments...
	seal_input=$1
	shift
	run sealtool seal --name t --purpose exec-credential "$@" <"$seal_input"
}
expect_clean() {
	expect 'an object or a session was left in the TPM' test "$(tpm_leftovers)" = 0
}

it 'sealing before init says what to do'
printf %s "$secret" >plain
seal plain --pcrs sha256:7 -o early.sealed
expect_status 12
expect_err 'sealtool init'
expect_one_line
expect 'no file is made' test ! -e early.sealed
expect_clean

it 'init makes the storage key'
run sealtool init --json
expect_status 0
expect_json 'j["made"]' true
expect_json 'j["handle"]' 0x81000001
name=$(json 'j["name"]')
expect_clean

it 'the storage key is the TCG template H-2, as tpm2-tools reads it'
run tpm2_readpublic -c 0x81000001
expect_status 0
expect_out "name: $name"
expect_out 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt'
expect_out 'NIST p256'

it 'init finds the key the second time'
run sealtool init --json
expect_json 'j["made"]' false
expect_json 'j["name"]' "$name"

it 'a key that another program left at the handle is kept'
(
	start_tpm
	tpm2_createprimary -Q -C o -G ecc -g sha256 -c other.ctx \
		-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt'
	tpm2_evictcontrol -Q -C o -c other.ctx 0x81000001
	tpm2_flushcontext -t
	sealtool init --json >other.json
	sealtool seal --name t --purpose x <plain >other.sealed && sealtool unseal other.sealed
	code=$?
	stop_tpm
	exit $code
) >"$out" 2>"$err"
status=$?
expect_status 0
expect_out "$secret"
expect_json 'j["made"]' false other.json

it 'a secret sealed to PCRs comes back, byte for byte'
seal plain --pcrs sha256:7,16 --recovery rec.pub -o t.sealed
expect_status 0
expect_no_out
expect_clean
run sealtool unseal t.sealed
expect_status 0
expect_out_is "$secret"
expect_clean

it 'the file is the owner'"'"'s alone'
expect 'mode 0600' test "$(stat -c %a t.sealed)" = 600

it 'the file is a JWE in general JSON serialization'
expect 'enc' test "$("$tools/sealed.py" get t.sealed 'h["enc"] + h["typ"]')" = A256GCMkubetpm-sealed
expect 'recipients' test \
	"$("$tools/sealed.py" get t.sealed '[r["header"]["alg"] for r in j["recipients"]]')" = \
	'["kubetpm.tpm2", "ECDH-ES+A256KW"]'
expect 'parent' test "$("$tools/sealed.py" get t.sealed 'j["recipients"][0]["header"]["parent"]')" = "$name"

it 'nothing of the secret is in the file or in a message'
run cat t.sealed
expect_nowhere "$secret"

it 'without --pcrs, --for and --recovery it is sealed to this TPM'
seal plain -o bare.sealed
expect_status 0
expect_json 'len(j["recipients"])' 1 bare.sealed
run sealtool unseal bare.sealed
expect_out_is "$secret"

it 'with --recovery alone no TPM is needed'
seal plain --tcti swtpm:path=/nonexistent --recovery rec.pub -o offline.sealed
expect_status 0
expect_json '[r["header"]["alg"] for r in j["recipients"]]' '["ECDH-ES+A256KW"]' offline.sealed

it 'writes to standard output without -o'
seal plain --recovery rec.pub
expect_status 0
expect_out '"protected"'

it 'one byte, and bytes that are no text'
printf '\000' >zero
head -c 1000 /dev/urandom >binary
printf '\n\n' >>binary
for f in zero binary; do
	seal $f -o $f.sealed
	expect_status 0
	run sealtool unseal $f.sealed
	expect_out_same $f
done

it 'one MiB goes in, a byte more does not'
head -c 1048576 /dev/urandom >large
seal large -o large.sealed
expect_status 0
run sealtool unseal large.sealed
expect_out_same large
printf x >>large
seal large -o larger.sealed
expect_status 5
expect_one_line
expect 'no file is made' test ! -e larger.sealed

it 'an empty secret is refused'
seal /dev/null -o empty.sealed
expect_status 5
expect_one_line
expect 'no file is made' test ! -e empty.sealed

it 'unseal -o writes a file of mode 0600'
run sealtool unseal -o opened t.sealed
expect_status 0
expect_no_out
expect 'the secret' cmp opened plain
expect 'mode 0600' test "$(stat -c %a opened)" = 600

if has_terminals; then
	it 'a terminal does not get the secret'
	on_terminal 'sealtool unseal t.sealed'
	expect_status 8
	expect_out '--force'
	expect_nowhere "$secret"

	it 'a terminal gets the secret with --force'
	on_terminal 'sealtool unseal --force t.sealed'
	expect_status 0
	expect_out "$secret"
else
	skip 'a terminal gets the secret with --force only' 'no pseudo-terminals here'
fi

it 'a closed or full standard output is an error'
run sh -c 'exec sealtool unseal t.sealed >&-'
expect_status 1
expect_one_line
run sh -c 'exec sealtool unseal t.sealed >/dev/full'
expect_status 1
expect_one_line
expect_clean

it 'a reader that goes away is an error, not a signal'
run sh -c '{ sealtool unseal large.sealed; echo $? >code; } | head -c 1 >/dev/null; cat code'
expect_out_is '1
'

it 'a closed standard input is an empty secret'
run sh -c 'exec sealtool seal --name t --purpose x --recovery rec.pub -o closed.sealed <&-'
expect_status 5
expect 'no file is made' test ! -e closed.sealed

it 'show needs no TPM, and tells what the file says'
run env KUBETPM_TCTI=swtpm:path=/nonexistent sealtool show --json t.sealed
expect_status 0
expect_json 'j["name"] + " " + j["purpose"]' 't exec-credential'
expect_json 'len(j["recipients"])' 2
expect_json 'j["recipients"][0]["kind"]' tpm2
expect_json 'j["recipients"][1]["kind"]' recovery
expect_json 'sorted(j["recipients"][0]["policy"]["pcrs"]["sha256"])' '["16", "7"]'
expect_nowhere "$secret"
run sealtool show t.sealed
expect_status 0
expect_out exec-credential

it 'usage errors have status 2, one line, and a hint'
for arguments in '' 'nonsense' 'unseal' 'unseal a b' 'unseal --nonsense t.sealed' \
	'seal --purpose x' 'seal --name x' 'seal --name x --purpose y --pcrs sha256:99' \
	'seal --name x --purpose y --pcrs md5:1' 'seal --name x --purpose y --pcrs sha256:7=12' \
	'seal --name x --purpose y --recovery nonexistent' 'unseal nonexistent.sealed' \
	'init extra' 'pcrs sha256' 'recipient nonsense t.sealed'; do
	# shellcheck disable=SC2086 # a list of arguments
	run sealtool $arguments <plain
	expect_status 2
	expect_one_line
	expect_no_out
done
run sealtool seal --name '' --purpose x --recovery rec.pub <plain
expect_status 2
run sealtool seal --name "$(printf 'a\nb')" --purpose x --recovery rec.pub <plain
expect_status 2

it 'help and version go to standard output'
run sealtool --help
expect_status 0
expect_out 'reseal'
run sealtool seal --help
expect_status 0
expect_out '--recovery'
run sealtool --version
expect_status 0
expect_out 'sealtool '

it 'an existing file is replaced as a whole, and keeps its mode'
cp t.sealed again.sealed
chmod 640 again.sealed
seal plain -o again.sealed
expect_status 0
expect 'mode' test "$(stat -c %a again.sealed)" = 640
run sealtool unseal again.sealed
expect_out_is "$secret"

it 'the folder has no temporary files'
run sh -c 'ls -A | grep -v -e "\.sealed$" -e "^rec\." -e "^other\." \
	-e "^\(plain\|zero\|binary\|large\|opened\|code\)$"'
expect_no_out

it 'nothing is left in the TPM'
expect_clean

done_testing
