# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion for sealtool(1).

_sealtool()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local verb=${COMP_WORDS[1]}
	local recipients='--pcrs --policy-key --for --for-pcrs --recovery --parent-name'
	local pin='--pin --pin-file' new_pin='--new-pin --new-pin-file' key='--key --passphrase-file' common='--verbose --help --version'
	local options

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W 'init seal unseal show reseal recipient recover recover-record export
			import key policy audit sign-cert pcrs srk doctor --help --version' -- "$current")
		return
	fi
	case $previous in
	--for | --for-pcrs | --recovery | --output | -o | --key | -k | --pin-file | --passphrase-file | \
		--owner-auth-file | --key-auth-file | --policy-auth-file | --policy-key | --pub | --log | -l | --ak-out | --ca | --csr | --audit | --endorsement-auth-file | --new-pin-file)
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		compopt -o filenames 2>/dev/null
		return
		;;
	--purpose | -p)
		mapfile -t COMPREPLY < <(compgen -W 'exec-credential image-credential' -- "$current")
		return
		;;
	--pcrs)
		mapfile -t COMPREPLY < <(compgen -W 'sha256: sha384: sha512:' -- "$current")
		compopt -o nospace 2>/dev/null
		return
		;;
	--policy-dir)
		mapfile -t COMPREPLY < <(compgen -d -- "$current")
		compopt -o filenames 2>/dev/null
		return
		;;
	--tcti | -T)
		mapfile -t COMPREPLY < <(compgen -W 'device:/dev/tpmrm0 tabrmd: swtpm:path=' -- "$current")
		compopt -o nospace 2>/dev/null
		return
		;;
	--name | -n | --slot | -s | --parent-name | --cluster | -c | --epoch | --comment | --nonce | --max-size | --max-age | \
		--subject | --days) return ;;
	--type)
		mapfile -t COMPREPLY < <(compgen -W 'hmac p256' -- "$current")
		return
		;;
	--tier)
		mapfile -t COMPREPLY < <(compgen -W 'a b c' -- "$current")
		return
		;;
	--audit-tier)
		mapfile -t COMPREPLY < <(compgen -W 'a b' -- "$current")
		return
		;;
	esac
	case $verb in
	init) options="--owner-auth-file --tcti --json" ;;
	seal) options="--name --purpose $recipients $pin --output --tcti" ;;
	unseal) options="$pin --policy-dir --purpose --output --force --tcti" ;;
	show) options="--json" ;;
	reseal) options="--pcrs --policy-dir --slot $pin $new_pin $key --tcti" ;;
	recipient) options="$recipients --policy-dir --this-tpm --slot $pin $new_pin $key --no-tpm --json --tcti" ;;
	recover) options="$key --output --force" ;;
	recover-record) options="$key --path --all --output --force --json" ;;
	export) options="--tss2 --policy-dir --pcrs $pin $new_pin --output --owner-auth-file --tcti" ;;
	import) options="--name --purpose --key-auth-file --policy-auth-file --endorsement-auth-file $recipients
		$pin --owner-auth-file --output --tcti" ;;
	audit) options="--log --ak-out --tier --max-size --max-age --force --nonce --abandon --owner-auth-file
		--endorsement-auth-file --json --tcti" ;;
	sign-cert) options="--key --ca --csr --self-signed --subject --days --audit --output --endorsement-auth-file
		--tcti" ;;
	key) options="--type --audit-tier --pcrs --policy-key --output --cluster --epoch --json --tcti" ;;
	policy) options="$key --pub --for --pcrs --for-pcrs --comment --no-passphrase --output --json" ;;
	pcrs) options="--pcrs --json --tcti" ;;
	srk) options="--output --json --tcti" ;;
	doctor) options="--json --tcti" ;;
	*) return ;;
	esac
	if [[ $current == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options $common" -- "$current")
	elif [[ $verb == recipient ]] && ((COMP_CWORD == 2)); then
		mapfile -t COMPREPLY < <(compgen -W 'list add remove' -- "$current")
	elif [[ $verb == key ]] && ((COMP_CWORD == 2)); then
		mapfile -t COMPREPLY < <(compgen -W 'new list show public' -- "$current")
	elif [[ $verb == audit ]] && ((COMP_CWORD == 2)); then
		mapfile -t COMPREPLY < <(compgen -W 'init status checkpoint' -- "$current")
	elif [[ $verb == policy ]] && ((COMP_CWORD == 2)); then
		mapfile -t COMPREPLY < <(compgen -W 'new-key sign show verify' -- "$current")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		compopt -o filenames 2>/dev/null
	fi
}
complete -F _sealtool sealtool
