#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Sealed files whose states an operator approves: sealed once, opened in each state that is approved, by sealtool and
# by exec-plugin.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
digest=$(printf kubetpm | sha256sum | cut -d' ' -f1)
zeros=$(printf '%064d' 0)
# PCR that was zero, extended once with SHA-256 of "kubetpm"
extended=d21c0189a637554aa4872c30311363c9a00e8eb8bc7331f2ec4df0789c5e9cc7

must start_tpm
must sealtool init
must sealtool policy new-key --no-passphrase -o policy.pem --pub policy.pub
must sealtool policy new-key --no-passphrase -o other.pem --pub other.pub
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out rec.pem 2>/dev/null
openssl pkey -in rec.pem -pubout -out rec.pub
echo 271828 >pin
chmod 600 pin
printf 'the-secret-token' >token
mkdir approvals empty
umask 022
seal() {
	run sealtool seal --name t --purpose exec-credential "$@" <token
}
# approve FOR STATE FILE [KEY]
approve() {
	must sealtool policy sign --key "${4-policy.pem}" --for "$1" --pcrs "sha256:7=$2" -o "$3"
	chmod 644 "$3"
}
unseal() {
	run sealtool unseal "$@"
}

it 'seals without a state, and says what to do'
seal --policy-key policy.pub -o t.sealed
expect_status 0
expect_err 'policy sign --for'
run sealtool show --json t.sealed
kid=$(json 'j["kid"]')
expect_json 'j["recipients"][0]["policy"]["for"]' "$kid"
expect_json 'j["recipients"][0]["wordsAgree"]' true
run sealtool show t.sealed
expect_status 0
expect_out "that this key approves for $kid"
seal --policy-key policy.pub --pcrs sha256:7 -o x.sealed
expect_status 2
seal --policy-key policy.pem -o x.sealed
expect_status 8

it 'opens in no state that nobody approved'
unseal t.sealed
expect_status 2
expect_err '--policy-dir'
unseal --policy-dir empty t.sealed
expect_status 3
expect_err "policy sign --for $kid"
unseal --policy-dir nowhere t.sealed
expect_status 2

it 'opens in each state that is approved, without being touched'
approve t.sealed "$zeros" approvals/1.json
unseal --policy-dir approvals t.sealed
expect_status 0
expect_out_same token
must tpm2_pcrextend "7:sha256=$digest"
unseal --policy-dir approvals t.sealed
expect_status 3
expect_err 'PCR 7 (sha256)'
expect_err "$zeros"
expect_err "$extended"
approve "$kid" "$extended" approvals/2.json
unseal --policy-dir approvals t.sealed
expect_out_same token
must reset_tpm
unseal --policy-dir approvals t.sealed
expect_out_same token

it 'takes no approval for another file, or by another key, and none that was changed'
seal --policy-key policy.pub -o u.sealed
unseal --policy-dir approvals u.sealed
expect_status 3
mkdir bad
approve u.sealed "$zeros" bad/1.json other.pem
unseal --policy-dir bad u.sealed
expect_status 3
approve u.sealed "$extended" bad/2.json
python3 - "$extended" "$zeros" <<'EOT'
import json, sys
text = open("bad/2.json").read().replace(sys.argv[1], sys.argv[2])
j, good = json.loads(text), json.load(open("approvals/1.json"))
j["policy"] = good["policy"]
json.dump(j, open("bad/2.json", "w"))
EOT
unseal --policy-dir bad u.sealed
expect_status 3
expect_no_out

it 'a file whose words were changed is refused'
python3 - "$zeros" <<'EOT'
import json, sys
j = json.load(open("t.sealed"))
other = json.loads(json.dumps(j))
policy = other["recipients"][0]["header"]["policy"]
policy["for"] = "00000000-0000-4000-8000-000000000000"
json.dump(other, open("for.sealed", "w"))
policy = j["recipients"][0]["header"]["policy"]
j["recipients"][0]["header"]["policy"] = {"pcrs": {"sha256": {"7": sys.argv[1]}}, "pin": False}
json.dump(j, open("words.sealed", "w"))
policy["pcrs"] = {"sha256": {"7": sys.argv[1]}}
j["recipients"][0]["header"]["policy"] = policy
json.dump(j, open("both.sealed", "w"))
EOT
for file in for words both; do
	unseal --policy-dir approvals $file.sealed
	expect_status 5
	expect_no_out
done
run sealtool show for.sealed
expect_status 5

it 'goes with a PIN, with recovery keys, and with other slots'
seal --policy-key policy.pub --pin-file pin --recovery rec.pub -o p.sealed
mkdir p-approvals
approve p.sealed "$zeros" p-approvals/1.json
unseal --policy-dir p-approvals p.sealed
expect_status 6
unseal --policy-dir p-approvals --pin-file pin p.sealed
expect_out_same token
run sealtool recover --key rec.pem p.sealed
expect_out_same token
seal --pcrs "sha256:7=$extended" --recovery rec.pub -o both.sealed
run sealtool recipient add --key rec.pem --policy-key policy.pub both.sealed
expect_status 0
mkdir b-approvals
approve both.sealed "$zeros" b-approvals/1.json
unseal --policy-dir b-approvals both.sealed
expect_out_same token
unseal both.sealed
expect_status 3
expect_err 'slot 2'
run sealtool recipient add --policy-dir approvals --pcrs sha256:16 t.sealed
expect_status 0
unseal t.sealed
expect_out_same token

it 'keeps its approvals when it is resealed'
run sealtool recipient remove --slot 1 --policy-dir approvals t.sealed
expect_status 0
cp t.sealed before
run sealtool reseal --policy-dir approvals t.sealed
expect_status 0
expect 'another file' sh -c '! cmp -s before t.sealed'
unseal --policy-dir approvals t.sealed
expect_out_same token
run sealtool export --tss2 --policy-dir approvals -o t.tss2 t.sealed
expect_status 2
run sealtool export --tss2 --policy-dir approvals --pcrs sha256:7 -o t.tss2 t.sealed
expect_status 0

it 'serves a credential by exec-plugin'
mkdir profiles
cp t.sealed profiles/
cp -r approvals profiles/
echo 'sufficient cred-sealed file=t.sealed as=token policy-dir=approvals' >profiles/node
info=$(cat "$top/tests/data/exec/kubectl-v1.json")
run env "KUBERNETES_EXEC_INFO=$info" "$exec_plugin" --profile-dir profiles --profile node
expect_status 0
expect_json 'j["status"]["token"]' the-secret-token
rm profiles/approvals/1.json
run env "KUBERNETES_EXEC_INFO=$info" "$exec_plugin" --profile-dir profiles --profile node
expect_status 3
expect_err 'PCR 7'
expect 'nothing is left in the TPM' test "$(tpm_leftovers)" = 0
done_testing
