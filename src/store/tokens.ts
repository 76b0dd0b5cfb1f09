import { createHash, randomBytes } from 'node:crypto';

/** A secret of 256 bits for a cookie, link or key. */
export function newToken(): string {
  return randomBytes(32).toString('base64url');
}

/** What is stored in place of a token. A fast hash will do: tokens cannot be guessed. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
