import { InputError } from './input-error.ts'

/** Loads an optional peer, or says which one is missing and what for. */
export async function peer<Module>(name: string, purpose: string, load: () => Promise<Module>): Promise<Module> {
  return load().catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new InputError([`${purpose} need the package ${name}: install it beside this one`], { cause: error })
  })
}
