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

must start_tpm
must start_abrmd
audit_set_up --max-size 200000
make_ca
# A sanitized kms-shim takes most of its time to start.
operations=${AUDIT_KILL_OPERATIONS:-$([ -n "${SAN-}" ] && echo 60 || echo 1000)}
seed=${AUDIT_KILL_SEED:-$(date +%s)}

it "$operations operations of four processes that are killed (seed $seed)"
run timeout 250 "$tools/audit-kill.py" "$kms_shim" audited.conf "$operations" "$seed"
expect_status 0
cp "$out" counts.json
echo "# $(cat counts.json)"
# Who has the key repeats what was cut off last.
start_shim audited.conf
encrypt last
stop_shim
must sealtool audit checkpoint --log audit.log --nonce 0f

it 'each finding is an answer that a kill lost, and nothing else'
logs=$(ls audit.log.0* 2>/dev/null)
# shellcheck disable=SC2086 # words
verify --ak ak.pub $logs audit.log
[ "$status" -eq 0 ] || expect_status 14
expect_json 'sorted(set(f["id"] for f in j["findings"]) - {"lost", "taken"})' '[]'
expect 'no more windows than kills' python3 -c '
import json
j, c = json.load(open("first.json")), json.load(open("counts.json"))
assert len(j["findings"]) + j["moreFindings"] <= c["shim kills"] + c["sign kills"]'
echo "# $(json '[f["id"] for f in j["findings"]]')"

it 'and whatever was answered is in the log'
expect 'as many entries as answers' python3 -c '
import json
j, c = json.load(open("first.json")), json.load(open("counts.json"))
assert j["encryptions"] >= c["Encrypt"] + 1 and j["decryptions"] >= c["Decrypt"] and j["certificates"] >= c["sign"] + 1, (j, c)'

done_testing
