export { storeSuite, type StoreSuiteOptions } from './store-suite.ts'
