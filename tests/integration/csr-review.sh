#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# csr-approver review: a node proves with a software TPM which machine it is and how it booted, and others try to.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"

approver=$STAGE/usr/libexec/kubetpm/csr-approver
now=2026-11-27T12:01:00Z
zeros=$(printf '%064d' 0)
evidence() {
	run "$tools/evidence.py" "$@"
}
unhex() {
	python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.argv[1]))' "$1"
}
# make_ek rsa|ecc|ecc384|rsa3072: ek.ctx, ek.pub (TPM2B_PUBLIC), ek.pem
make_ek() {
	low='fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|restricted|decrypt'
	case $1 in
	rsa | ecc)
		policy_b=
		must tpm2_createek -Q -G "$1" -c ek.ctx -u ek.pub
		;;
	*)
		policy_b=b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12
		unhex $policy_b >ek.policy
		must tpm2_createprimary -Q -C e -g sha384 -G "$1:aes256cfb" -a "$low|userwithauth" -L ek.policy -c ek.ctx
		;;
	esac
	flush_tpm
	must tpm2_readpublic -Q -c ek.ctx -f tss -o ek.pub
	flush_tpm
	must tpm2_readpublic -Q -c ek.ctx -f pem -o ek.pem
	flush_tpm
	fingerprint=$("$tools/evidence.py" fingerprint ek.pem)
}
make_ak() {
	must tpm2_createprimary -Q -C e -g sha256 -G ecc256:ecdsa-sha256:null -c ak.ctx \
		-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|sign'
	must tpm2_readpublic -Q -c ak.ctx -f tss -o ak.pub
	flush_tpm
}
make_csr() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -subj "/O=system:nodes/CN=system:node:$1" \
		-outform DER -out "$1.csr" 2>/dev/null
}
review() {
	run "$approver" review --inventory inventory.json --now "$now" "$@"
}
# expect_verdict VERDICT REASON, of the last line
expect_verdict() {
	expect_status 0
	tail -n 1 "$out" >last
	cp last "$out"
	expect_json 'j["verdict"] + " " + j["reason"]' "$1 $2"
}
# activate MESSAGE: the TPM gives the secret back
activate() {
	"$tools/evidence.py" credential "$1" >challenge.bin
	must tpm2_startauthsession -Q --policy-session -g "$([ -n "$policy_b" ] && echo sha384 || echo sha256)" -S session
	must tpm2_policysecret -Q -S session -c e
	if [ -n "$policy_b" ]; then
		unhex 8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c930e143e8bb1133824ccb431053871c6db53 >a
		unhex d6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165 >c
		must tpm2_policyor -Q -S session -L or.digest sha384:a,c
	fi
	run tpm2_activatecredential -Q -c ak.ctx -C ek.ctx -i challenge.bin -o secret -P session:session
	activated=$status
	tpm2_flushcontext session >/dev/null 2>&1
	rm -f session
	flush_tpm
}
# quote UID EXPIRATION: for n1.csr
quote() {
	must tpm2_quote -Q -c ak.ctx -l sha256:7 -g sha256 -f plain -m quote -s quote.sig \
		-q "$("$tools/evidence.py" qualify "$1" secret n1.csr "$2")"
	flush_tpm
}
client() {
	evidence client "$1" n1.csr ek.pub ak.pub secret quote quote.sig "$pcrs" "$2"
	expect_status 0
}
# ask_both: CSR 1, its challenge, CSR 2; both.json has both
ask_both() {
	must "$tools/evidence.py" challenge u-1 n1.csr ek.pub ak.pub
	cp "$out" csr1.json
	review csr1.json
	expect_verdict approve TPMChallenge
	message=$(json 'j["message"]')
	activate "$message"
	must "$tools/evidence.py" approve csr1.json "$message"
	cp "$out" csr1.json
	quote u-1 3600
	client u-1 3600
	cp "$out" csr2.json
	must "$tools/evidence.py" list csr1.json csr2.json
	cp "$out" both.json
}

must start_tpm
make_ak
make_csr n1
make_csr n2
pcrs="{\"sha256\":{\"7\":\"$zeros\"}}"
must "$approver" inventory pcrs -i inventory.json --pcr-set fresh --pcrs "sha256:7=$zeros"
must "$approver" inventory pcrs -i inventory.json --pcr-set other --pcrs "sha256:7=$(printf '%064d' 1)"

for ek in rsa ecc ecc384 rsa3072; do
	it "a node with an endorsement key $ek proves which machine it is"
	make_ek $ek
	must "$approver" inventory add -i inventory.json --ek "$fingerprint" --node n1 --pcr-set other --pcr-set fresh --max-lifetime 2h
	ask_both
	expect 'the TPM has the secret' test "$activated" = 0
	review both.json
	expect_verdict approve TPMAttested
	expect_json '[j["possession"], j["node"], j["endorsementKey"]]' "[\"proven\", \"n1\", \"$fingerprint\"]"
	[ $ek = rsa3072 ] || must "$approver" inventory remove -i inventory.json --node n1
done
cp both.json good.json

# with PYTHON: good.json, changed
changed() {
	python3 -c "
import base64, json, sys
j = json.load(open('good.json', encoding='utf-8'))
one, two = j['items']
$1
print(json.dumps(j))" >changed.json
	review changed.json
}

it 'without the challenge, possession is not checked, and nothing is approved'
review csr2.json
expect_verdict ignore PossessionNotChecked

it 'a challenge serves one requester, its own request, and five minutes'
now=2026-11-27T12:05:01Z
review good.json
expect_verdict deny NotFresh
now=2026-11-27T11:50:00Z
review good.json
expect_verdict deny NotFresh
now=2026-11-27T12:01:00Z
changed 'two["spec"]["username"] = "system:node:n2"'
expect_verdict deny NoPossession
changed 'one["metadata"]["uid"] = "u-2"'
expect_verdict ignore PossessionNotChecked
changed 'one["metadata"]["uid"] = "u-2"; two["metadata"]["name"] = "kubetpm-u-2"'
expect_verdict deny NoPossession
changed 'one["status"]["conditions"][0]["type"] = "Denied"'
expect_verdict deny NoPossession
changed 'one["status"] = {}'
expect_verdict deny NoPossession
changed 'one["spec"]["signerName"] = "example.com/other"'
expect_verdict deny NoPossession

it 'what was quoted for one request does not serve another'
changed 'two["spec"]["expirationSeconds"] = 7200'
expect_verdict deny NotFresh
changed 'two["spec"]["expirationSeconds"] = 7201'
expect_verdict deny TooLong
changed 'del two["spec"]["expirationSeconds"]'
expect_verdict deny TooLong
changed 'two["spec"]["usages"] = ["digital signature", "server auth"]'
expect_verdict deny MalformedRequest
changed 'two["spec"]["signerName"] = "kubernetes.io/kube-apiserver-client"'
expect_verdict ignore NotOurs
changed 'two["metadata"]["name"] = "csr-abcde"'
expect_verdict ignore NotOurs
changed 'two["status"] = {"conditions": [{"type": "Approved", "status": "True"}]}'
expect_verdict ignore Decided

it 'another secret is another TPM'
cp secret right
head -c 32 /dev/urandom >secret
quote u-1 3600
client u-1 3600
cp "$out" csr2.json
must "$tools/evidence.py" list csr1.json csr2.json
cp "$out" both.json
review both.json
expect_verdict deny NoPossession
cp right secret

it 'another machine, with the name of this one, or its endorsement key'
cp ek.pub ek1.pub
first=$tpm_dir
must start_tpm
make_ak
make_ek rsa3072
must "$tools/evidence.py" challenge u-3 n1.csr ek.pub ak.pub
cp "$out" csr1.json
review csr1.json
expect_verdict deny UnknownMachine
expect_out "inventory add --ek $fingerprint --node n1"
# Its own attestation key, and the other machine's endorsement key: the challenge cannot be opened.
must "$tools/evidence.py" challenge u-3 n1.csr ek1.pub ak.pub
cp "$out" csr1.json
review csr1.json
expect_verdict approve TPMChallenge
activate "$(json 'j["message"]')"
expect 'this TPM cannot open it' test "$activated" -ne 0
use_tpm "$first"

it 'another name than the inventory has, quarantine, other PCRs'
make_ak
make_ek rsa3072
must "$tools/evidence.py" challenge u-1 n2.csr ek.pub ak.pub
cp "$out" csr1.json
review csr1.json
expect_verdict deny WrongName
must "$approver" inventory quarantine -i inventory.json --node n1
review good.json
expect_verdict deny Quarantined
must "$approver" inventory accept -i inventory.json --node n1
review good.json
expect_verdict approve TPMAttested
must tpm2_pcrextend "7:sha256=$(printf '%064d' 5)"
pcrs="{\"sha256\":{\"7\":\"$(tpm2_pcrread sha256:7 | sed -n 's/.*0x//p' | tr 'A-F' 'a-f')\"}}"
ask_both
review both.json
expect_verdict deny PCRMismatch
expect_out 'PCR 7 (sha256): expected'
pcrs="{\"sha256\":{\"7\":\"$zeros\"}}"
client u-1 3600
cp "$out" csr2.json
must "$tools/evidence.py" list csr1.json csr2.json
cp "$out" both.json
review both.json
expect_verdict deny MalformedEvidence
expect_out 'not those of the quote'

it 'evidence is read strictly: no other block, no text, no second request'
# spoil PYTHON: the PEM text of CSR 2 is t
spoil() {
	changed "t = base64.b64decode(two['spec']['request']).decode(); $1
two['spec']['request'] = base64.b64encode(t.encode()).decode()"
	expect_verdict deny MalformedEvidence
}
spoil 't = t + t'
spoil 't = "x" + t'
spoil 't = t + "\n"'
spoil 't = t.replace("TPM QUOTE-", "TPM QUOTES-")'
spoil 't = t.replace("TPM QUOTE-", "CERTIFICATE REQUEST-")'
spoil 't = t[t.index("-----BEGIN TPM EK"):]'
spoil 't = t.replace("\n", "\r\n")'
spoil 't = t[:-30]'
spoil 't = t.replace("-----BEGIN TPM AK PUBLIC-----\n", "-----BEGIN TPM AK PUBLIC-----\nA: b\n\n")'
spoil 'i = t.index("BEGIN TPM QUOTE SIGNATURE"); t = t[:i + 60] + ("A" if t[i + 60] != "A" else "B") + t[i + 61:]'
spoil 'i = t.index("BEGIN TPM AK"); t = t[:i + 40] + ("A" if t[i + 40] != "A" else "B") + t[i + 41:]'

it 'input that is no request is refused'
echo '{"kind":"List","items":[{}]}' >bad.json
review bad.json
expect_status 5
echo 'x' >bad.json
review bad.json
expect_status 5
run "$approver" review --now x bad.json
expect_status 2
run "$approver" review bad.json
expect_status 2

it 'the inventory has each machine and each name once, and is only written if it can be read'
cp inventory.json before.json
run "$approver" inventory add -i inventory.json --ek "$fingerprint" --node n9 --pcr-set fresh
expect_status 5
run "$approver" inventory add -i inventory.json --ek "$(printf '%064d' 7)" --node n1 --pcr-set fresh
expect_status 5
run "$approver" inventory add -i inventory.json --ek "$(printf '%064d' 7)" --node n9 --pcr-set none
expect_status 5
expect_err 'none'
run "$approver" inventory add -i inventory.json --ek 12 --node n9 --pcr-set fresh
expect_status 5
run "$approver" inventory remove -i inventory.json --node n9
expect_status 2
expect 'it is as it was' cmp -s inventory.json before.json
run "$approver" inventory list -i inventory.json
expect_out "$fingerprint"
run "$approver" inventory list -i inventory.json --json
expect_json 'j["kind"]' kubetpm-inventory

done_testing
