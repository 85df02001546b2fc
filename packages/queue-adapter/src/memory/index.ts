export { memoryTransport, type MemoryTransportOptions } from './transport.ts'
