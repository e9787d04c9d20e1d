/**
 * The completion script for bash. Ours, where the other shells have their library's: that one needs the package bash-completion, and
 * evaluates the words that stand on the line, which for a command line that holds commands would run parts of them. Pure text.
 */
export const BASH_COMPLETION = `# bash completion for bucketlock: source <(bucketlock completion bash)
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
