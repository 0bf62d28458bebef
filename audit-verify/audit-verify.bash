# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion for audit-verify(1).

_audit_verify()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	case $previous in
	--key-name | -k | --nonce | -n | --threads | -t) return ;;
	--tier)
		mapfile -t COMPREPLY < <(compgen -W 'a b c' -- "$current")
		return
		;;
	--join-resource)
		mapfile -t COMPREPLY < <(compgen -W 'secrets configmaps' -- "$current")
		return
		;;
	esac
	if [[ $current == -* || ($COMP_CWORD -eq 1 && -z $current) ]]; then
		mapfile -t COMPREPLY < <(compgen -W '--ak --key-name --nonce --state --tier --accept --list --join
			--join-resource --threads --json --verbose --help --version' -- "$current")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		compopt -o filenames 2>/dev/null
	fi
}
complete -F _audit_verify audit-verify
