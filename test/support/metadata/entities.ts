import * as orm from 'typeorm'

// Decorators are called as functions: TypeScript's own kind, which this project compiles, has another signature.
export type Decorator = (prototype: object, property: string) => void
export const decorate = (target: { prototype: object }, properties: Record<string, Decorator>) => {
  for (const [property, decorator] of Object.entries(properties)) decorator(target.prototype, property)
}

export class Address {
  declare city: string | null
}
export class User {
  declare id: number
  declare name: string
  declare address: Address
  declare posts: Post[]
  declare deletedAt: Date | null
  declare version: number
}
export class Post {
  declare id: number
  declare title: string
  declare author: User
  declare tags: Tag[]
  declare tagIds: number[]
}
export class Tag {
  declare id: number
  declare name: string
  declare posts: Post[]
}
export class Animal {
  declare id: number
  declare name: string
}
export class Dog extends Animal {
  declare bark: number
}
export class Cat extends Animal {
  declare meow: number
}
export class Folder {
  declare id: number
  declare name: string
  declare children: Folder[]
  declare parent: Folder | null
}
export class UserCount {
  /** A number or a text: the driver's to say. */
  declare count: unknown
}
export interface Setting {
  key: string
  value: { of: string }
}

const text = { type: 'varchar' } as const
decorate(Address, { city: orm.Column({ ...text, nullable: true }) })
decorate(User, {
  id: orm.PrimaryGeneratedColumn(),
  name: orm.Column(text),
  address: orm.Column(() => Address),
  posts: orm.OneToMany<Post>(
    () => Post,
    post => post.author,
    { cascade: true }
  ),
  deletedAt: orm.DeleteDateColumn(),
  version: orm.VersionColumn()
})
orm.Unique(['name'])(User)
orm.Entity('users')(User)
decorate(Post, {
  id: orm.PrimaryGeneratedColumn(),
  title: orm.Column(text),
  author: orm.ManyToOne<User>(
    () => User,
    user => user.posts
  ),
  tags: orm.ManyToMany<Tag>(
    () => Tag,
    tag => tag.posts,
    { cascade: true }
  ),
  tagIds: orm.RelationId((post: Post) => post.tags)
})
orm.JoinTable()(Post.prototype, 'tags')
orm.Entity('posts')(Post)
decorate(Tag, {
  id: orm.PrimaryGeneratedColumn(),
  name: orm.Column(text),
  posts: orm.ManyToMany<Post>(
    () => Post,
    post => post.tags
  )
})
orm.Entity('tags')(Tag)
decorate(Animal, { id: orm.PrimaryGeneratedColumn(), name: orm.Column(text) })
orm.Entity('animals')(Animal)
orm.TableInheritance({ column: { type: 'varchar', name: 'kind' } })(Animal)
decorate(Dog, { bark: orm.Column({ type: 'int', nullable: true }) })
orm.ChildEntity()(Dog)
decorate(Cat, { meow: orm.Column({ type: 'int', nullable: true }) })
orm.ChildEntity()(Cat)
decorate(Folder, {
  id: orm.PrimaryGeneratedColumn(),
  name: orm.Column(text),
  children: orm.TreeChildren(),
  parent: orm.TreeParent()
})
orm.Entity('folders')(Folder)
orm.Tree('closure-table')(Folder)
decorate(UserCount, { count: orm.ViewColumn() })
orm.ViewEntity({
  name: 'user_count',
  expression: dataSource => dataSource.createQueryBuilder().select('count(*)', 'count').from(User, 'u')
})(UserCount)

export const Settings = new orm.EntitySchema<Setting>({
  name: 'Setting',
  tableName: 'settings',
  columns: { key: { type: 'varchar', primary: true }, value: { type: 'json' } }
})

/** What the subscriber saw: the database of the DataSource that an event came with, and the name of what was inserted. */
export const events: Array<{ database: string | undefined; name: string; own: boolean }> = []
export class Watcher implements orm.EntitySubscriberInterface {
  afterInsert({ entity, dataSource, manager }: orm.InsertEvent<{ name?: string }>) {
    if (!entity?.name) return
    events.push({ database: dataSource.driver.database, name: entity.name, own: manager.dataSource === dataSource })
  }
}
orm.EventSubscriber()(Watcher)

export const entities = [User, Post, Tag, Animal, Dog, Cat, Folder, UserCount, Settings]
