// Pieces of JSON schemas that several routes share.

export const id = { type: 'string', pattern: '^[1-9][0-9]{0,17}$' } as const
export const nullableId = { ...id, nullable: true } as const
export const text = { type: 'string' } as const
/** What somebody has typed. PostgreSQL's text has no NUL, and would answer with an error. */
export const words = (maxLength: number) =>
  ({ type: 'string', minLength: 1, maxLength, pattern: '^[^\\u0000]*$' }) as const
export const nullableText = { type: 'string', nullable: true } as const

export interface ById {
  id: string
}
export const byId = { type: 'object', required: ['id'], properties: { id } } as const
