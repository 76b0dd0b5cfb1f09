import { allows, type Noun, type Role, type Use } from '../domain/role.ts';

export { seesAll } from '../domain/role.ts';

/** Who asks. */
export interface Principal {
  /** For the audit: `user:LOGIN`, or `key:NAME`. */
  readonly by: string;
  /** Who owns what this one creates: `user:LOGIN` also where a key of the user asks. */
  readonly owner: string;
  /** Undefined for a key that is nobody's. */
  readonly login?: string;
  readonly name: string;
  readonly role: Role;
  readonly subenvironments: readonly string[];
  /** Scopes of a key; null = a person, who may what the role may. */
  readonly scopes: readonly string[] | null;
  /** Of a session: what writes have to bear in `x-csrf-token`. */
  readonly csrf?: string;
}

/** Who may use a route. `open`: everybody who has logged in. */
export interface Access {
  readonly use: Use;
  readonly noun: Noun;
  readonly roles: readonly Role[];
}

export const ADMINISTRATORS: readonly Role[] = ['administrator'];
export const OPERATORS: readonly Role[] = ['administrator', 'operator'];
export const TEACHERS: readonly Role[] = ['administrator', 'operator', 'instructor'];
export const EVERYBODY: readonly Role[] = ['administrator', 'operator', 'instructor', 'reseller'];

export function may(use: Use, noun: Noun, roles: readonly Role[]): { access: Access } {
  return { access: { use, noun, roles } };
}

export function hasScope({ scopes }: Principal, { noun, use }: Access): boolean {
  return scopes === null || allows(scopes, noun, use);
}

/** May he read users and keys? What names them is hidden from all others. */
export function seesUsers(principal: Principal): boolean {
  const { access } = may('read', 'users', ADMINISTRATORS);
  return access.roles.includes(principal.role) && hasScope(principal, access);
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Without it, nobody has to have logged in. */
    access?: Access | 'anyone-logged-in';
    /** Status of a UsageError of this route; 422 where unset. */
    refusal?: number;
  }
  interface FastifyRequest {
    /** Set by the log-in check, before anything else of the route. */
    principal: Principal;
  }
}
