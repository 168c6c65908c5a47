/** The states of an operation that is not over. */
export const open = `('queued', 'running', 'waiting', 'undoing')`

/** Whether a row is older than the catalog's last adoption: what became of it in the catalog that was lost, nobody knows. */
export const beforeAdoption = (row: string) =>
  `coalesce(${row}.created_at < (select i.adopted_at from saasctl.instance i), false)`
