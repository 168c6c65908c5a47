import type { Command } from 'commander'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

/** One place on the command line, such as `/tenant/create`, and what can follow there. */
interface Place {
  path: string
  names: string[]
  commands: Array<{ name: string; about: string }>
  flags: Array<{ name: string; about: string }>
}

/** Completion scripts, made from the program itself: what it does not know is not completed. */
export const scripts: Record<Shell, (program: Command) => string> = { bash, zsh, fish }

function placesOf(program: Command): Place[] {
  const walk = (command: Command, path: string): Place[] => [
    {
      path,
      names: [command.name(), ...command.aliases()],
      commands: command.commands.map(child => ({ name: child.name(), about: child.description() })),
      flags: [...new Set([...command.options, ...program.options])]
        .filter(option => !option.hidden && option.long)
        .map(option => ({ name: option.long ?? '', about: option.description }))
        .concat({ name: '--help', about: 'explain the command' })
    },
    ...command.commands.flatMap(child => walk(child, `${path}/${child.name()}`))
  ]
  return walk(program, '')
}

/** Lines of a `case` that walk the words typed so far from place to place. */
function steps(places: Place[]): string {
  return places
    .filter(({ path }) => path !== '')
    .map(({ path, names }) => {
      const parent = path.slice(0, path.lastIndexOf('/'))
      return `      ${names.map(name => `${parent}/${name}`).join('|')}) place=${path} ;;`
    })
    .join('\n')
}

function bash(program: Command): string {
  const places = placesOf(program)
  const words = places.map(
    ({ path, commands, flags }) =>
      `    ${path || "''"}) words='${[...commands, ...flags].map(({ name }) => name).join(' ')}' ;;`
  )
  return `# saasctl completion for bash
_saasctl() {
  local place='' words='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$place/$word" in
${steps(places)}
    esac
  done
  case "$place" in
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _saasctl saasctl
`
}

function zsh(program: Command): string {
  const places = placesOf(program)
  const described = (entries: Place['commands']) =>
    entries.map(({ name, about }) => `'${name}:${quoted(about)}'`).join(' ')
  const words = places.map(
    ({ path, commands, flags }) => `    ${path || "''"}) verbs=(${described(commands)}); flags=(${described(flags)}) ;;`
  )
  return `#compdef saasctl
_saasctl() {
  local place='' word
  local -a verbs flags
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$place/$word" in
${steps(places)}
    esac
  done
  case "$place" in
${words.join('\n')}
  esac
  if [[ "$PREFIX" == -* ]]; then _describe flag flags; elif (( $#verbs )); then _describe command verbs; else _files; fi
}
compdef _saasctl saasctl
`
}

function fish(program: Command): string {
  const places = placesOf(program)
  const lines = places.flatMap(({ path, commands, flags }) => [
    ...commands.map(
      ({ name, about }) =>
        `complete -c saasctl -f -n 'test (__saasctl_place) = "${path}/"' -a ${name} -d '${quoted(about)}'`
    ),
    ...flags.map(
      ({ name, about }) =>
        `complete -c saasctl -n 'test (__saasctl_place) = "${path}/"' -l ${name.slice(2)} -d '${quoted(about)}'`
    )
  ])
  const walk = places
    .filter(({ path }) => path !== '')
    .map(({ path, names }) => {
      const parent = path.slice(0, path.lastIndexOf('/'))
      return `      case ${names.map(name => `'${parent}/${name}'`).join(' ')}\n        set place ${path}`
    })
  return `# saasctl completion for fish
function __saasctl_place
  set -l place ''
  for word in (commandline -opc)[2..-1]
    switch "$place/$word"
${walk.join('\n')}
    end
  end
  echo "$place/"
end
${lines.join('\n')}
`
}

/** For single quotes, and for zsh, which ends a name at the first colon. */
function quoted(text: string): string {
  return text.replaceAll("'", '’').replaceAll(':', ' -')
}
