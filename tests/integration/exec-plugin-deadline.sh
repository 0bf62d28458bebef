#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# exec-plugin always comes to an end, and leaves nothing in the TPM when that is an early one: modules without
# manners, parents that block signals or do not read, and signals at any moment. (SIGALRM, sent, is the
# deadline come early.)
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
umask 022
mkdir modules profiles
cp "$BUILD/fixtures/manners.so" modules
chmod 644 modules/*
for how in hang exit fork; do
	echo "sufficient manners how=$how" >profiles/$how
done
info=$(cat "$top/tests/data/exec/kubectl-v1.json")
image='{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"a"}'

# start.py WHAT ARGUMENT...: starts a program as a parent of a certain kind would, sends it SIGALRM once it has
# loaded its module, and prints "STATUS SECONDS"; standard output and error go to the files out and err.
cat >start.py <<'PY'
import fcntl, os, signal, subprocess, sys, time
what, argv = sys.argv[1], sys.argv[2:]
err = open("err", "wb")
if what == "full":
    reading, err = os.pipe()
    fcntl.fcntl(err, fcntl.F_SETFL, os.O_NONBLOCK)
    try:
        while os.write(err, b"x" * 4096) or True:
            pass
    except BlockingIOError:
        pass
    fcntl.fcntl(err, fcntl.F_SETFL, 0)
def block():
    if what == "blocked":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGTERM})
    if what == "ignored":
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
silent, kept = os.pipe()
stdin = silent if what == "silent" else subprocess.DEVNULL
child = subprocess.Popen(argv, stdin=stdin, stdout=open("out", "wb"), stderr=err, preexec_fn=block)
limit = time.time() + 20
try:
    while what != "silent" and time.time() < limit and "manners" not in open(f"/proc/{child.pid}/maps").read():
        time.sleep(0.01)
    time.sleep(1 if what == "silent" else 0.3)
except OSError: # it cannot be looked at unless by root
    time.sleep(1)
start = time.time()
child.send_signal(signal.SIGALRM)
try:
    status = child.wait(timeout=20)
except subprocess.TimeoutExpired:
    child.kill()
    status = "never"
print(status, int(time.time() - start))
PY
# start WHAT [OPTION...]: $status, and $seconds until the end
start() {
	ran="start.py $*"
	start_what=$1
	shift
	# shellcheck disable=SC2046 # two words
	set -- $(python3 start.py "$start_what" "$exec_plugin" --profile-dir profiles --module-dir modules "$@" 2>&1)
	status=$1
	seconds=$2
	cp out "$out"
	cp err "$err"
}
KUBERNETES_EXEC_INFO=$info
export KUBERNETES_EXEC_INFO

it 'gives up when a module does not answer in time'
start plain --profile hang
expect_status 4
expect_err 'no answer in time'
expect_one_line
expect_no_out
expect "at once ($seconds s)" [ "$seconds" -le 2 ]

it 'gives up where the parent had blocked or ignored the signals'
for what in blocked ignored; do
	start $what --profile hang
	expect_status 4
	expect "at once ($seconds s)" [ "$seconds" -le 2 ]
done

it 'gives up where nobody reads standard error'
start full --profile hang
expect_status 4
expect "at once ($seconds s)" [ "$seconds" -le 2 ]

it 'has a deadline when it is interactive, too'
KUBERNETES_EXEC_INFO=$(sed 's/"interactive":false/"interactive":true/' "$top/tests/data/exec/kubectl-v1.json")
start plain --profile hang
expect_status 4
KUBERNETES_EXEC_INFO=$info

it 'is no success when a module ends the program'
run "$exec_plugin" --profile-dir profiles --module-dir modules --profile exit </dev/null
expect_status 1
expect_err 'a module ended the program'
expect_one_line
expect_no_out

it 'does not keep the client waiting for a child of a module'
begun=$(date +%s)
"$exec_plugin" --profile-dir profiles --module-dir modules --profile fork </dev/null 2>"$err" | cat >"$out"
ran='exec-plugin, fork'
expect 'an answer' grep -q '"token":"token"' "$out"
expect 'at once' [ $(($(date +%s) - begun)) -le 5 ]

it 'does not wait for a request that does not come'
unset KUBERNETES_EXEC_INFO
start silent --profile hang
expect_status 5
expect_err 'no request on standard input'
expect_one_line

it 'gives up on a module that is asked for an image, too'
printf '%s' "$image" | timeout -s ALRM 1 "$exec_plugin" --profile-dir profiles --module-dir modules \
	--profile hang >"$out" 2>"$err"
ran='exec-plugin, image'
expect_err 'no answer in time'
expect_no_out

# Signals at any moment while the TPM works.
must start_tpm
must sealtool init
mkdir d
printf 'token' | must sealtool seal --name t --purpose exec-credential --pcrs sha256:11 -o d/t.sealed
sealtool pcrs --pcrs sha256:11 --json >d/state.json
cat >d/default <<'EOF'
requisite pcr-state expect=state.json
sufficient cred-sealed file=t.sealed as=token
EOF
cat >storm.py <<'PY'
import random, signal, subprocess, sys, time
name, runs, argv = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
number = getattr(signal, name)
random.seed(1)
start = time.time()
subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True)
whole = max(time.time() - start, 0.02)
seen = {}
for _ in range(runs):
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(random.uniform(0, whole))
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    status = child.returncode
    seen[status] = seen.get(status, 0) + 1
    if status == 0 and not out:
        sys.exit(f"status {status}, but: {out} {err}")
print(" ".join(f"{status}:{count}" for status, count in sorted(seen.items())))
PY
# storm SIGNAL EXPECTED: the statuses are that one, 0 (it was too late) or the signal's (it was too early)
storm() {
	KUBERNETES_EXEC_INFO=$info run python3 storm.py "$1" "${STORM:-150}" "$exec_plugin" --profile-dir d
	expect_status 0
	tr ' ' '\n' <"$out" >statuses
	while IFS=: read -r seen _; do
		case $seen in
		0 | "$2" | "$3") ;;
		*) wrong "an unexpected status: $seen" ;;
		esac
	done <statuses
	expect 'some were hit' grep -q -e "^$2:" statuses
	expect 'an object or a session was left in the TPM' test "$(tpm_leftovers)" = 0
	flush_tpm
}
it 'leaves nothing in the TPM at its deadline'
storm SIGALRM 4 -14

it 'leaves nothing in the TPM when it is told to end'
storm SIGTERM -15 -15

done_testing
