/**
 * The completion scripts for bash, zsh and fish: each asks `bucketlock complete` for what fits, and behind `--` leaves the words to the
 * shell, for there stands a command of its own. Ours, where the library has some too: its bash needs another package, its zsh and fish
 * propose our options behind `--`, and they evaluate what stands on the line, which may hold parts of commands. Pure text.
 */

const BASH = `# bash completion for bucketlock: source <(bucketlock completion bash)
_bucketlock() {
  local word line
  COMPREPLY=()
  # Behind -- stands a command of its own: files.
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [ "$word" = -- ] && return
  done
  while IFS= read -r line; do
    line=\${line%%$'\\t'*}
    case $line in
      :*) ;;
      "\${COMP_WORDS[COMP_CWORD]}"*) COMPREPLY+=("$line") ;;
    esac
  done < <("\${COMP_WORDS[0]}" complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _bucketlock bucketlock
`;

// "zshcompsys(1)": _normal completes what is left of the line as a command. (Q): as typed, less its quotes; nothing is expanded.
const ZSH = `#compdef bucketlock
# zsh completion for bucketlock: source <(bucketlock completion zsh), after compinit
_bucketlock() {
  local line dashes=\${words[(i)--]}
  local -a found
  # Behind -- stands a command of its own.
  if (( dashes < CURRENT )); then
    shift $dashes words
    (( CURRENT -= dashes ))
    _normal
    return
  fi
  while IFS= read -r line; do
    line=\${line%$'\\t'}
    [[ $line == :* ]] || found+=("\${\${line//:/\\\\:}/$'\\t'/:}")
  done < <("\${(Q)words[1]}" complete -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)
  if (( $#found )); then _describe bucketlock found; else _files; fi
}
if [[ $funcstack[1] == _bucketlock ]]; then _bucketlock "$@"; else compdef _bucketlock bucketlock; fi
`;

// "complete -C": what fits behind a line, which is not run. -ct alone would be what stands before the cursor of the last word.
const FISH = `# fish completion for bucketlock: bucketlock completion fish | source
function __bucketlock_is_ours
    set -l words (commandline -opc)
    contains -- -- $words; and return 1
    set -g __bucketlock_found ($words[1] complete -- $words[2..-1] (commandline -ct) 2>/dev/null | string match -v ':*')
    # Else: files.
    test (count $__bucketlock_found) -gt 0
end
function __bucketlock_is_theirs
    contains -- -- (commandline -opc)
end
function __bucketlock_theirs
    complete -C (string replace -r '^.*?\\s--\\s+' '' -- (commandline -cp))
end
complete -c bucketlock -e
complete -c bucketlock -n __bucketlock_is_ours -f -a '$__bucketlock_found'
complete -c bucketlock -n __bucketlock_is_theirs -f -a '(__bucketlock_theirs)'
`;

export const COMPLETION_SCRIPTS: Readonly<Record<string, string | undefined>> = { bash: BASH, zsh: ZSH, fish: FISH };
