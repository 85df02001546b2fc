export { jsonLinesFile, type JsonLinesFileOptions } from './json-lines-file.ts'
