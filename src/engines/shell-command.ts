/** How the engine's own shell is started. */
export interface ShellCommand {
  /** Candidates in order; the first found on PATH is run. */
  programs: string[]
  args: string[]
  env: Record<string, string>
  /**
   * Environment variable → text of a private file whose path it must hold while the program runs. A `$NAME` in an argument
   * or in a file after it is that path too.
   */
  files?: Record<string, string>
  /** What to install when none is found, for the error's hint. */
  install: string
}
