import { inject, test } from 'vitest'
import { rabbitmqTransport } from '../../src/rabbitmq/index.ts'
import { transportSuite } from '../../src/testing/index.ts'
import { queueBehaviour } from '../support/queue-behaviour.ts'

transportSuite({ test, create: () => rabbitmqTransport({ url: inject('amqpUrl') }) })

queueBehaviour(() => rabbitmqTransport({ url: inject('amqpUrl') }))
