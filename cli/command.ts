import { Command, type Option } from 'commander'
import { environment } from './environment.js'

/** A consent that stands in the environment would be given to commands that nobody has thought of. */
const never = new Set(['yes', 'confirm', 'now', 'no-backup', 'reveal', 'all', 'help'])
/** These are settings: src/config.ts reads their variables. */
const settings = new Set(['catalog', 'home', 'embedded', 'concurrency', 'token-file'])

/** A command whose every flag can come from its SAASCTL_ variable; "0", "no", "off" and "false" leave a switch off. */
export class SaasctlCommand extends Command {
  override createCommand(name?: string): SaasctlCommand {
    return new SaasctlCommand(name)
  }

  override addOption(option: Option): this {
    const name = option.name()
    const variable = `SAASCTL_${name.toUpperCase().replaceAll('-', '_')}`
    const value = environment[variable]
    const isSwitch = !option.required && !option.optional
    const says = value !== undefined && value !== '' && !(isSwitch && /^(0|no|off|false)$/i.test(value))
    if (says && !never.has(name) && !settings.has(name)) option.env(variable)
    return super.addOption(option)
  }

  /** Of a verb that is not there nothing is explained: whoever misspelt it would read something else. */
  override helpInformation(...context: Parameters<Command['helpInformation']>): string {
    const [word] = this.args
    if (this.commands.length > 0 && word !== undefined && !word.startsWith('-'))
      this.error(`error: unknown command '${word}'`, { code: 'commander.unknownCommand' })
    return super.helpInformation(...context)
  }
}
