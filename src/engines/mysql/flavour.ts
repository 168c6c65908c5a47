/** Which of the two servers behind one protocol: found in its greeting, before any statement. */
export type Flavour = 'mysql' | 'mariadb'
