import { EntitySchema } from 'typeorm'

/** Entities as a middling product has them: ten columns, an index, a unique, a parent and children each. */
export function someEntities(count: number): EntitySchema[] {
  return Array.from({ length: count }, (_, index) => {
    const name = (at: number) => `Entity${(at + count) % count}`
    return new EntitySchema<Record<string, unknown>>({
      name: name(index),
      tableName: `entity_${index}`,
      columns: {
        id: { type: 'int', primary: true, generated: true },
        name: { type: 'varchar', length: 100 },
        code: { type: 'varchar', length: 32 },
        quantity: { type: 'int', default: 0 },
        price: { type: 'numeric', precision: 10, scale: 2, nullable: true },
        active: { type: 'boolean', default: true },
        details: { type: 'json', nullable: true },
        createdAt: { type: 'timestamp', createDate: true },
        updatedAt: { type: 'timestamp', updateDate: true },
        note: { type: 'text', nullable: true }
      },
      indices: [{ columns: ['name'] }],
      uniques: [{ columns: ['code'] }],
      relations: {
        parent: {
          type: 'many-to-one',
          target: name(index - 1),
          inverseSide: 'children',
          joinColumn: { name: 'parent_id' }
        },
        children: { type: 'one-to-many', target: name(index + 1), inverseSide: 'parent' }
      }
    })
  })
}

export interface Note {
  id: number
  body: string
}

/** The table that the fleet's databases have. */
export const Notes = new EntitySchema<Note>({
  name: 'Note',
  tableName: 'notes',
  columns: { id: { type: 'int', primary: true, generated: true }, body: { type: 'text' } }
})
