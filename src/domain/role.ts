/** What a user or an API key may do ('Access' in the domain rules). */
export const ROLES = ['administrator', 'operator', 'reseller', 'instructor'] as const;
export type Role = (typeof ROLES)[number];

/** Nothing of the environment's facts is hidden from them. */
export function seesAll(role: Role): boolean {
  return role === 'administrator' || role === 'operator';
}

/** Nouns of the API that an API key's scopes are about. */
export const NOUNS = [
  'feeds',
  'runs',
  'queue',
  'groups',
  'learners',
  'courses',
  'progress',
  'exports',
  'checks',
  'reports',
  'metrics',
  'users',
] as const;
export type Noun = (typeof NOUNS)[number];
export type Use = 'read' | 'write';

/** Every scope of an API key: `read` and `write` are for all nouns but users, which have to be named. */
export const SCOPES: readonly string[] = [
  'read',
  'write',
  ...NOUNS.flatMap((noun) => [`${noun}:read`, `${noun}:write`]),
];

/** Whether the scopes allow it; who may write may read. */
export function allows(scopes: readonly string[], noun: Noun, use: Use): boolean {
  const uses = use === 'read' ? ['read', 'write'] : ['write'];
  return uses.some((one) => scopes.includes(`${noun}:${one}`) || (noun !== 'users' && scopes.includes(one)));
}
