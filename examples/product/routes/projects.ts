import type { FastifyInstance } from 'fastify'
import { projects } from '../entities.js'
import { onPage, type Page, page } from '../page.js'
import { found } from '../problem.js'
import { addProject, type NewProject } from '../projects.js'
import { type ById, byId, id, nullableId, text, words } from '../schemas.js'
import { editorsOnly } from '../users.js'

const project = { type: 'object', properties: { id, name: text, status: text, customerId: nullableId } }

const newProject = {
  type: 'object',
  required: ['name'],
  properties: { name: words(200), customerId: nullableId }
}

export async function projectRoutes(app: FastifyInstance): Promise<void> {
  app.get<{ Querystring: Page }>(
    '/projects',
    { schema: { querystring: page, response: { 200: { type: 'array', items: project } } } },
    async request => (await request.tenantDb()).getRepository(projects).find(onPage(request.query))
  )

  app.get<{ Params: ById }>(
    '/projects/:id',
    { schema: { params: byId, response: { 200: project } } },
    async request => {
      const { id } = request.params
      const db = await request.tenantDb()
      return found(await db.getRepository(projects).findOneBy({ id }), 'project', id)
    }
  )

  app.post<{ Body: NewProject }>(
    '/projects',
    { preHandler: editorsOnly, schema: { body: newProject, response: { 201: project } } },
    async (request, reply) => {
      const made = await request.tenantTransaction(manager => addProject(manager, request.tenant, request.body))
      return reply.code(201).header('location', `/projects/${made.id}`).send(made)
    }
  )
}
