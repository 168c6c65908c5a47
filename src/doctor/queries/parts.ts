/** Whether a row is older than the catalog's last adoption: what became of it in the catalog that was lost, nobody knows. */
export const beforeAdoption = (row: string) =>
  `coalesce(${row}.created_at < (select i.adopted_at from saasctl.instance i), false)`
