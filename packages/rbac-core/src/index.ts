export {
  createAuthorizer,
  type AccessOptions,
  type Authorizer,
  type AuthorizerExplanation,
  type AuthorizerOptions,
} from './authorizer.ts'
export {
  memoryGrantStore,
  type MemoryAssignment,
  type MemoryGrantStore,
  type MemorySubject,
} from './memory-grant-store.ts'
export type { AuthorizerState, InvalidateEvent, LoadEvent, StateEvent } from './authorizer-events.ts'
export {
  compilePolicy,
  definePolicy,
  type Policy,
  type RoleAssignment,
  type RoleDefinition,
  type RoleName,
  type Subject,
} from './policy.ts'
export { catalogOf, definePermissions, type GrantName, type PermissionCatalog, type PermissionName } from './catalog.ts'
export { createGuards, type Guard, type GuardExplanation, type GuardOptions, type Guards } from './guard.ts'
export { currentAccess, runWithAccess } from './context.ts'
export { violatedRules, type RuleViolation } from './separation.ts'
export {
  GrantStoreUnavailableError,
  InvalidDefinitionError,
  PermissionDeniedError,
  RbacError,
  RoleCycleError,
  SeparationOfDutyError,
  StaleAccessError,
  UnauthenticatedError,
  UnknownPermissionError,
  UnknownRoleError,
} from './errors.ts'
export type { Access, PermittedScopes, ScopeOption, UnusableReason } from './access.ts'
export type { GuardDecorator } from './decorate.ts'
export type { Decision, DecisionReason } from './decision.ts'
export type { Explanation, Obstacle, RoleGap } from './explain.ts'
export type {
  AssignmentRecord,
  GrantCache,
  GrantChange,
  GrantChangeListener,
  GrantChanges,
  GrantChangeSubscription,
  GrantStore,
  GrantVersion,
  PolicyRecord,
  RoleRecord,
  SeparationRule,
  SubjectRecord,
} from './grant-store.ts'
export type { Requirement } from './requirement.ts'
