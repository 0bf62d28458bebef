#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Four processes write one audit log, through a resource manager, and are killed at random: the log verifies, or has
# exactly the windows of answers that were lost.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=stdio-shim.sh
. "$(dirname "$0")/../tools/stdio-shim.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=audit.sh
. "$(dirname "$0")/../tools/audit.sh"

# set_up OPTION...: new keys and a new log, of the tier that the options say
set_up() {
	rm -f audit.log* ak.pub k1.key ca.key ca.crt
	must sealtool audit init --log audit.log --ak-out ak.pub --max-size 200000 "$@"
	must sealtool key new --type hmac --pcrs sha256:7 --audit-tier "$tier" -o k1.key
	must sealtool key new --type p256 --audit-tier "$tier" -o ca.key
	make_ca
}
# interleave OPERATIONS
interleave() {
	it "tier $tier: $1 operations of four processes that are killed (seed $seed)"
	run timeout 250 "$tools/audit-kill.py" "$kms_shim" audited.conf "$1" "$seed"
	expect_status 0
	cp "$out" counts.json
	echo "# $(cat counts.json)"
	# Who has the key repeats what was cut off last.
	start_shim audited.conf
	encrypt last
	stop_shim
	must sealtool audit checkpoint --log audit.log --nonce 0f

	it "tier $tier: each finding is an answer that a kill lost, and nothing else"
	logs=$(ls audit.log.0* 2>/dev/null)
	# shellcheck disable=SC2086 # words
	verify --ak ak.pub --tier "$tier" $logs audit.log
	[ "$status" -eq 0 ] || expect_status 14
	expect_json 'sorted(set(f["id"] for f in j["findings"]) - {"lost", "taken"})' '[]'
	expect 'no more windows than kills' python3 -c '
import json
j, c = json.load(open("first.json")), json.load(open("counts.json"))
assert len(j["findings"]) + j["moreFindings"] <= c["shim kills"] + c["sign kills"]'
	echo "# $(json '[f["id"] for f in j["findings"]]')"

	it "tier $tier: and whatever was answered is in the log"
	expect 'as many entries as answers' python3 -c '
import json
j, c = json.load(open("first.json")), json.load(open("counts.json"))
assert j["encryptions"] >= c["Encrypt"] + 1 and j["decryptions"] >= c["Decrypt"] and j["certificates"] >= c["sign"] + 1, (j, c)'
}

must start_tpm
must start_abrmd
must sealtool init
audit_configure
# A sanitized kms-shim takes most of its time to start.
operations=${AUDIT_KILL_OPERATIONS:-$([ -n "${SAN-}" ] && echo 60 || echo 1000)}
seed=${AUDIT_KILL_SEED:-$(date +%s)}

tier=a
set_up
interleave "$operations"
# Each operation has a checkpoint of its own: fewer of them.
tier=b
set_up --tier b --force
interleave $((operations / 5))

done_testing
