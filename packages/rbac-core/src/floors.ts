import type { GrantVersion } from './grant-store.ts'

/** Subjects remembered one by one; beyond that the floor rises for everybody. */
const maxSubjects = 10_000

/** The oldest version that may still be used, by subject: what a change feed has told. */
export class Floors {
  readonly #subjects = new Map<string, GrantVersion>()
  #everybody: GrantVersion = 0
  #highest: GrantVersion = 0

  get everybody(): GrantVersion {
    return this.#everybody
  }

  /** The latest version heard of, whoever it concerns. */
  get highest(): GrantVersion {
    return this.#highest
  }

  of(subjectId: string): GrantVersion {
    return Math.max(this.#everybody, this.#subjects.get(subjectId) ?? 0)
  }

  raise(subjectId: string, version: GrantVersion): void {
    this.#highest = Math.max(this.#highest, version)
    const floor = this.of(subjectId)
    this.#subjects.delete(subjectId)
    this.#subjects.set(subjectId, Math.max(floor, version))
    if (this.#subjects.size <= maxSubjects) return
    const [oldest, forgotten] = this.#subjects.entries().next().value!
    this.#subjects.delete(oldest)
    // What is no longer known of one subject must hold for all, or an old record could come back.
    this.raiseEverybody(forgotten)
  }

  raiseEverybody(version: GrantVersion): void {
    this.#everybody = Math.max(this.#everybody, version)
    this.#highest = Math.max(this.#highest, version)
  }
}
