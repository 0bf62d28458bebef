#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Modules and profiles: which are loaded, which are refused, and what a stack of them makes of their
# answers. No TPM.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
umask 022
mkdir modules profiles
for name in answer good no-symbol text-only short-size longer wrong-name no-credential; do
	cp "$BUILD/fixtures/$name.so" modules
done
cp "$BUILD/examples/hello.so" modules
chmod 644 modules/*
KUBERNETES_EXEC_INFO=$(cat "$top/tests/data/exec/kubectl-v1.json")
export KUBERNETES_EXEC_INFO
profile() {
	cat >profiles/default
}
ask() {
	run "$exec_plugin" --profile-dir profiles --module-dir modules "$@" </dev/null
}
# try_rule RULE STATUS MESSAGE
try_rule() {
	echo "$1" >profiles/default
	ask
	expect_status "$2"
	expect_err "$3"
	expect_one_line
	expect_no_out
}

it 'runs a third-party module'
profile <<'EOT'
sufficient hello name=world
EOT
ask
expect_status 0
expect_json "j['status']['token']" hello-world

it 'finds the modules of a staged install'
run "$exec_plugin" --modules
expect_status 0
expect_out 'cred-sealed: '
expect_out 'file=  the sealed file (required)'
expect_out 'pcr-state: '
expect_no_err

it 'lists good modules also where bad ones lie'
ask --modules
expect_status 2
expect_out 'hello: an example'
expect_out 'longer: from the future'
expect_err 'no-symbol.so'

it 'exports one symbol from each of its modules'
for module in "$STAGE"/usr/lib/kubetpm/*.so; do
	nm -D --defined-only "$module" | sed 's/.* //' | grep -v '^__' >symbols
	[ "$(cat symbols)" = kt_module_v1 ] || [ -n "${SAN-}" ] || wrong "$module: $(cat symbols)"
done

it 'links no TPM library itself'
[ -n "${SAN-}" ] || expect 'no tss2' sh -c "! ldd '$exec_plugin' | grep -q tss2"

it 'refuses a module that others can write'
chmod g+w modules/good.so
try_rule 'sufficient good path=x' 8 good.so
chmod g-w modules/good.so

it 'refuses a symbolic link to a module'
ln -s good.so modules/link.so
try_rule 'sufficient link' 8 'symbolic link'

it 'refuses what is no module, or not quite'
try_rule 'sufficient nowhere' 2 'no module nowhere'
try_rule 'sufficient no-symbol' 2 'does not contain kt_module_v1'
try_rule 'sufficient text-only' 2 'exports no kt_module_v1'
try_rule 'sufficient short-size' 2 'version 1'
try_rule 'sufficient wrong-name' 2 'calls itself other'
try_rule 'sufficient no-credential' 2 'gives no credentials'
try_rule 'sufficient ../modules/good path=x' 2 'no module name'

it 'checks arguments before any module runs'
try_rule 'sufficient good' 2 'good needs path='
try_rule 'sufficient good path=x paths=y' 2 'no argument "paths"'
try_rule 'sufficient good path=x path=y' 2 'given twice'
try_rule 'enough good path=x' 2 'profiles/default:1: unknown control "enough"'
try_rule 'sufficient cred-sealed file=x' 2 'no module cred-sealed'

it 'refuses a profile as a whole, wherever the mistake is'
profile <<'EOT'
sufficient answer result=ok token=s3cr3t

sufficient good
EOT
ask
expect_status 2
expect_err 'profiles/default:3: good needs path='
expect_no_out

it 'looks at the arguments of all modules before it asks one'
profile <<'EOT'
sufficient answer result=ok token=s3cr3t
optional hello name=0123456789012345678901234567890123456789012345678901234567890123456789
EOT
ask
expect_status 2
expect_err 'profiles/default:2: hello: name= has 1 to 63 characters'
expect_one_line
expect_no_out

it 'keeps two rules of one module apart'
profile <<'EOT'
sufficient hello name=one
sufficient hello name=two
EOT
ask
expect_json "j['status']['token']" hello-one

it 'refuses a folder of modules that others can write'
chmod g+w modules
try_rule 'sufficient hello name=x' 8 'folder of modules is writable by others'
chmod g-w modules

if command -v g++ >/dev/null; then
	it 'takes a module in C++'
	must g++ -std=c++11 -Wall -Wextra -Wno-missing-field-initializers -Werror -pedantic -shared -fPIC "-I$top/include" \
		-o modules/plus.so "$top/tests/modules/plus.cc"
	chmod 644 modules/plus.so
	echo 'sufficient plus' >profiles/default
	ask
	expect_status 0
	expect_json "j['status']['token']" plus-token
else
	skip 'takes a module in C++' 'no g++ here'
fi

it 'refuses profiles and folders that others can write'
profile <<'EOT'
sufficient answer result=ok token=s3cr3t
EOT
chmod g+w profiles/default
ask
expect_status 8
expect_one_line
chmod g-w profiles/default
chmod o+w profiles
ask
expect_status 8
expect_one_line
chmod o-w profiles
ask
expect_status 0

it 'takes bare profile names only'
for name in ../profiles/default /etc/passwd .default '' nowhere; do
	ask --profile "$name"
	expect_status 2
	expect_no_out
done

it 'is not led by the environment to other modules'
run env "KUBETPM_MODULEDIR=$dir/modules" "LD_LIBRARY_PATH=$dir/modules" "$exec_plugin" \
	--profile-dir profiles </dev/null
expect_status 2
expect_err 'no module answer'

# stack STATUS TEXT: the rules are on standard input; TEXT is the token, or in the message
stack() {
	cat >profiles/default
	ask
	expect_status "$1"
	if [ "$1" -eq 0 ]; then
		expect_json "j['status']['token']" "$2"
	else
		expect_err "$2"
		expect_one_line
		expect_no_out
	fi
}

it 'sufficient: the first that succeeds is enough'
stack 0 b <<'EOT'
sufficient answer result=pass token=a
sufficient answer result=ok token=b
required answer result=error code=1 say=never-asked
EOT
it 'sufficient: a failure is passed over'
stack 0 b <<'EOT'
sufficient answer result=denied code=3 say=first
sufficient answer result=unavailable code=4 say=second
sufficient answer result=ok token=b
EOT
it 'sufficient: an error that is passed over is told'
stack 0 b <<'EOT'
sufficient answer result=error code=5 say=damaged-file
sufficient answer result=unavailable code=4 say=asleep
sufficient answer result=ok token=b
EOT
expect_err 'warning: answer: damaged-file'
expect_one_line
it 'sufficient: when all fail the first decides, and all are told'
stack 3 'answer: first; answer: second' <<'EOT'
sufficient answer result=pass
sufficient answer result=denied code=3 say=first
sufficient answer result=unavailable code=4 say=second
EOT
it 'requisite: a failure ends it'
stack 13 'answer: revoked' <<'EOT'
requisite answer result=denied code=13 say=revoked
required answer result=denied code=3 say=never-asked
EOT
it 'required: a failure decides, but the others are asked'
stack 10 'answer: wrong-machine' <<'EOT'
required answer result=denied code=10 say=wrong-machine
sufficient answer result=ok token=s3cr3t
EOT
expect_nowhere s3cr3t
it 'optional: counts when it is alone'
stack 0 a <<'EOT'
optional answer result=ok token=a
EOT
stack 9 'answer: as told' <<'EOT'
optional answer result=unavailable code=9
EOT
it 'a gate that opens gives nothing by itself'
stack 2 'no module has a credential' <<'EOT'
required answer result=ok
EOT
it 'a gate that opens does not hide why the source failed'
stack 12 'answer: not-provisioned' <<'EOT'
requisite answer result=ok
sufficient answer result=error code=12 say=not-provisioned
EOT
it 'does not give what cannot be a token'
stack 5 'gave a token with a blank' <<'EOT'
sufficient answer result=ok token=s3cr3té
EOT
expect_nowhere s3cr3t
it 'a result that is none is an error'
stack 1 'without a reason' <<'EOT'
required answer result=nonsense token=s3cr3t
EOT

done_testing
