import { connect } from 'amqplib'
import pg from 'pg'
import { expect, inject, test } from 'vitest'
import { createDatabase } from '../support/postgres.ts'

test('PostgreSQL 17 answers, in a database of its own', async () => {
  const database = await createDatabase(inject('postgresUrl'))
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  const { rows } = await client.query<{ server_version: string }>('show server_version')
  expect(rows[0]?.server_version).toMatch(/^17\./)
  await client.end()
  await database.drop()
})

test('RabbitMQ answers', async () => {
  const connection = await connect(inject('amqpUrl'))
  await connection.close()
})
