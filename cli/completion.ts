import type { Command, Option } from 'commander'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

/** One place on the command line, such as `/tenant/create`, and what can follow there. */
interface Place {
  path: string
  names: string[]
  commands: Array<{ name: string; about: string }>
  flags: Flag[]
}

interface Flag {
  name: string
  short: string | undefined
  about: string
  /** What it takes: nothing, one of these, or, with none of them, a text or a file. */
  values: readonly string[] | undefined
}

/** Completion scripts, made from the program itself: what it does not know is not completed. */
export const scripts: Record<Shell, (program: Command) => string> = { bash, zsh, fish }

function placesOf(program: Command): Place[] {
  const walk = (command: Command, path: string): Place[] => [
    {
      path,
      names: [command.name(), ...command.aliases()],
      commands: [
        ...command.commands.map(child => ({ name: child.name(), about: child.description() })),
        ...(command.registeredArguments[0]?.argChoices ?? []).map(name => ({ name, about: '' }))
      ],
      flags: [...new Set([...command.options, ...program.options])]
        .filter(option => !option.hidden && option.long)
        .map(flagOf)
        .concat({ name: '--help', short: '-h', about: 'explain the command', values: undefined })
    },
    ...command.commands.flatMap(child => walk(child, `${path}/${child.name()}`))
  ]
  return walk(program, '')
}

function flagOf({ long, short, description, argChoices, required, optional }: Option): Flag {
  return { name: long ?? '', short, about: description, values: required || optional ? (argChoices ?? []) : undefined }
}

/** Lines of a `case` on the word before: what follows a flag that takes a value is that value, and no flag. */
function afterFlags(places: Place[], line: (values: string) => string): string {
  const byValues = new Map<string, Set<string>>()
  for (const { name, short, values } of places.flatMap(({ flags }) => flags)) {
    if (!values) continue
    const names = byValues.get(values.join(' ')) ?? new Set()
    byValues.set(values.join(' '), names.add(name).add(short ?? name))
  }
  return [...byValues].map(([values, names]) => `    ${[...names].join('|')}) ${line(values)} ;;`).join('\n')
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
  case "\${COMP_WORDS[COMP_CWORD-1]}" in
${afterFlags(places, values => `words='${values}'`)}
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
  case "\${words[CURRENT-1]}" in
${afterFlags(places, values => (values === '' ? '_files; return' : `compadd ${values}; return`))}
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
    ...flags.map(({ name, short, about, values }) => {
      const letter = short ? ` -s ${short.slice(1)}` : ''
      const taken = values && (values.length === 0 ? ' -r' : ` -x -a '${values.join(' ')}'`)
      return `complete -c saasctl -n 'test (__saasctl_place) = "${path}/"' -l ${name.slice(2)}${letter}${taken ?? ''} -d '${quoted(about)}'`
    })
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
