/** Says that a file, an argument or the database cannot be used; each line is shown to the person who asked. */
export class InputError extends Error {
  readonly lines: readonly string[]

  constructor(lines: readonly string[], options?: ErrorOptions) {
    super(lines.join('\n'), options)
    this.lines = lines
  }
}
