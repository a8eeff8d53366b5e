package manuals

// scripts hand a shell's question on to "govs complete", by shell. %s stands for
// the names of the programs.
var scripts = map[string]string{
	"bash": `# completion of the programs of govs for bash
_govs_complete() {
	local line=${COMP_LINE:0:COMP_POINT} word words
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=("")
	word=${words[-1]}
	mapfile -t COMPREPLY < <(govs complete "${words[0]##*/}" "${words[@]:1}" 2>/dev/null | cut -f1)
	# Readline takes "=" and ":" for the ends of words.
	local head=${word%%"${word##*[=:]}"}
	[[ $word == *[=:]* ]] && COMPREPLY=("${COMPREPLY[@]#"$head"}")
	[[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
	return 0
}
complete -o default -F _govs_complete %s
`,
	"zsh": `#compdef %[1]s
# completion of the programs of govs for zsh
_govs() {
	local -a found
	local word text
	while IFS=$'\t' read -r word text; do
		found+=("${word//:/\\:}:${text}")
	done < <(govs complete "${words[1]:t}" "${(@)words[2,CURRENT]}" 2>/dev/null)
	if (( ${#found} )); then
		_describe -t words word found
	else
		_files
	fi
}
if [ "$funcstack[1]" = _govs ]; then
	_govs "$@"
else
	compdef _govs %[1]s
fi
`,
	"fish": `# completion of the programs of govs for fish
function __govs_complete
	set -l words (commandline -opc) (commandline -ct)
	govs complete (basename $words[1]) $words[2..-1] 2>/dev/null
end
for program in %s
	complete -c $program -a '(__govs_complete)'
end
`,
}
