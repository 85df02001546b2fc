import { emptyBits, hasBit, setBit, type Bits } from './bits.ts'
import { RoleCycleError, UnknownRoleError } from './errors.ts'
import type { RoleRecord } from './grant-store.ts'

/** The inheritance between roles: numbers for names, edges both ways, and walks over them. */
export interface RoleGraph {
  readonly names: readonly string[]
  readonly isActive: readonly boolean[]
  indexOf(name: string): number | undefined
  /** All roles reached from `roots`, themselves included; with `activeOnly` an inactive role stops the walk. */
  reach(roots: Iterable<number>, activeOnly: boolean): Bits
  /** All active roles that reach one of `roots` over active roles. */
  reachUp(roots: Iterable<number>): Bits
  /** The shortest way from a role to one that `found` accepts, over active roles. */
  path(from: number, found: (role: number) => boolean): string[] | undefined
}

/** Builds the graph. Throws `ROLE_CYCLE`, and with `strict` also `UNKNOWN_ROLE`; else unknown roles pass nothing on. */
export function roleGraph(roles: readonly RoleRecord[], options: { strict: boolean }): RoleGraph {
  const names = roles.map(role => role.name)
  const isActive = roles.map(role => role.isActive)
  const indexes = new Map(names.map((name, index) => [name, index]))
  const down: number[][] = roles.map(() => [])
  const up: number[][] = roles.map(() => [])
  roles.forEach((role, index) => {
    for (const name of role.inherits) {
      const inherited = indexes.get(name)
      if (inherited === undefined) {
        if (options.strict) throw new UnknownRoleError(name, `roles.${role.name}.inherits`)
        continue
      }
      down[index]!.push(inherited)
      up[inherited]!.push(index)
    }
  })
  refuseCycles(names, down)

  function walk(roots: Iterable<number>, edges: readonly number[][], activeOnly: boolean): Bits {
    const reached = emptyBits(names.length)
    const open = [...roots]
    for (let role = open.pop(); role !== undefined; role = open.pop()) {
      if (hasBit(reached, role) || (activeOnly && !isActive[role])) continue
      setBit(reached, role)
      open.push(...edges[role]!)
    }
    return reached
  }

  return {
    names,
    isActive,
    indexOf: name => indexes.get(name),
    reach: (roots, activeOnly) => walk(roots, down, activeOnly),
    reachUp: roots => walk(roots, up, true),
    path(from, found) {
      const cameFrom = new Map<number, number | undefined>([[from, undefined]])
      for (const role of cameFrom.keys()) {
        if (!isActive[role]) continue
        if (found(role)) {
          const path: string[] = []
          for (let step: number | undefined = role; step !== undefined; step = cameFrom.get(step)) {
            path.unshift(names[step]!)
          }
          return path
        }
        for (const next of down[role]!) if (!cameFrom.has(next)) cameFrom.set(next, role)
      }
      return undefined
    },
  }
}

/** Looks depth first without recursion: a chain of roles may be longer than the call stack. */
function refuseCycles(names: readonly string[], down: readonly number[][]): void {
  const done = emptyBits(names.length)
  for (let root = 0; root < names.length; root++) {
    const path: { role: number; next: number }[] = [{ role: root, next: 0 }]
    const onPath = new Set([root])
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const next = hasBit(done, top.role) ? undefined : down[top.role]?.[top.next++]
      if (next === undefined) {
        setBit(done, top.role)
        onPath.delete(top.role)
        path.pop()
      } else if (onPath.has(next)) {
        const circle = path.slice(path.findIndex(step => step.role === next)).map(step => step.role)
        throw new RoleCycleError([...circle, next].map(role => names[role]!))
      } else {
        onPath.add(next)
        path.push({ role: next, next: 0 })
      }
    }
  }
}
