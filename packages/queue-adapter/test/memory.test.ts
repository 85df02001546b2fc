import { test } from 'vitest'
import { memoryTransport } from '../src/memory/index.ts'
import { transportSuite } from '../src/testing/index.ts'
import { queueBehaviour } from './support/queue-behaviour.ts'

transportSuite({ test, create: () => memoryTransport() })

queueBehaviour(() => memoryTransport())
