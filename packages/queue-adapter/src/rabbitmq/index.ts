export { rabbitmqTransport, type RabbitmqTransportOptions } from './transport.ts'
