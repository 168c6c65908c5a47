import type { DatabaseNames, MigrationFile, OwnerSession } from '../engine.js'
import type { Session } from './session.js'
export class MysqlOwnerSession implements OwnerSession {
  constructor(
    private session: Session,
    private names: DatabaseNames,
    private fenced: <R>(act: () => Promise<R>) => Promise<R>
  ) {}
  async applied() {
    return []
  }
  async apply(file: MigrationFile, _d: 'up' | 'down', _after: string | null) {
    for (const sql of file.up.split(/;\s*$/m)) if (sql.trim()) await this.fenced(() => this.session.run(sql))
  }
  async run(sql: string) {
    for (const one of sql.split(/;\s*$/m)) if (one.trim()) await this.fenced(() => this.session.run(one))
  }
  async fingerprint() {
    return this.names.database
  }
  async bytes() {
    return 1
  }
  end() {
    return this.session.end()
  }
}
