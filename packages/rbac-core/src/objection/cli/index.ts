#!/usr/bin/env node
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { runCommand } from './commands.ts'

const [, script] = process.argv
// Importing this file does nothing; npm starts it through a link.
if (script !== undefined && realpathSync(script) === fileURLToPath(import.meta.url)) {
  const print = (line: string): void => {
    console.log(line)
  }
  const printError = (line: string): void => {
    console.error(line)
  }
  runCommand(process.argv.slice(2), { env: process.env, print, printError }).then(
    code => {
      process.exitCode = code
    },
    (error: unknown) => {
      console.error(error)
      process.exitCode = 2
    },
  )
}
