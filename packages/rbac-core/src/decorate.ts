import { InvalidDefinitionError } from './errors.ts'

export type AnyFunction = (...args: never) => unknown

/** A decorator for methods and getters, static or not, under the standard proposal and TypeScript's legacy mode. */
export interface GuardDecorator {
  <Method extends AnyFunction>(value: Method, context: { readonly kind: 'method' | 'getter' }): Method
  <Value>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Value>,
  ): TypedPropertyDescriptor<Value>
}

/** Makes the decorator and the wrapper that call `enforce` with the `this` and the arguments of each guarded call. */
export function guardCallable(enforce: (self: unknown, args: unknown[]) => void): {
  decorate: GuardDecorator
  wrap: <Fn extends AnyFunction>(fn: Fn) => Fn
} {
  function wrap<Fn extends AnyFunction>(fn: Fn): Fn {
    if (typeof fn !== 'function') throw new InvalidDefinitionError('guard.wrap', 'expected a function')
    const call = fn as unknown as (...args: unknown[]) => unknown
    // A caller of an async function expects a rejected promise and not a throw.
    const guarded = isAsync(fn)
      ? async function (this: unknown, ...args: unknown[]): Promise<unknown> {
          enforce(this, args)
          return call.apply(this, args)
        }
      : function (this: unknown, ...args: unknown[]): unknown {
          enforce(this, args)
          return call.apply(this, args)
        }
    Object.defineProperty(guarded, 'name', { value: fn.name, configurable: true })
    Object.defineProperty(guarded, 'length', { value: fn.length, configurable: true })
    return guarded as unknown as Fn
  }

  function decorate(
    target: unknown,
    second: string | symbol | DecoratorContext,
    descriptor?: PropertyDescriptor,
  ): unknown {
    if (typeof second === 'object') {
      if (second.kind === 'method' || second.kind === 'getter') return wrap(target as AnyFunction)
    } else if (descriptor !== undefined) {
      const { value, get, set } = descriptor as { value?: unknown; get?: () => unknown; set?: (value: unknown) => void }
      if (typeof value === 'function') return { ...descriptor, value: wrap(value as AnyFunction) }
      if (get) return { ...descriptor, get: wrap(get), ...(set && { set: wrap(set) }) }
    }
    throw new InvalidDefinitionError('guard', 'can decorate methods and getters only')
  }

  return { decorate: decorate as GuardDecorator, wrap }
}

function isAsync(fn: AnyFunction): boolean {
  return (fn as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] === 'AsyncFunction'
}
