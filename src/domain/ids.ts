/**
 * Branded names and numbers. They are made at the door (feed reader, settings, command line, store) and
 * never checked again behind it.
 */
declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** Number of a learner in this environment, from 1. Given out in blocks, in order. */
export type LearnerId = Brand<number, 'LearnerId'>;
export type GroupId = Brand<number, 'GroupId'>;
export type CourseId = Brand<number, 'CourseId'>;
/** An identifier of the HR system: trimmed, Unicode NFC, not empty (R12). */
export type ExternalId = Brand<string, 'ExternalId'>;
/** `r1`, `r2`, … in the order of creation. */
export type RunId = Brand<string, 'RunId'>;

/** Who holds a membership: `manual`, or the name of a feed. No feed may be called `manual`. */
export type SourceName = string;
export const MANUAL: SourceName = 'manual';

/** Trims and normalises (R12); undefined for what is empty then. */
export function externalId(text: string): ExternalId | undefined {
  const clean = text.trim().normalize('NFC');
  return clean === '' ? undefined : (clean as ExternalId);
}

/** What no External ID holds. */
export const CONTROL = /[\p{Cc}\u2028\u2029]/u;

/** `id:12` is how what has no External ID is named, so no External ID may look like it. */
export function looksLikeId(text: string): boolean {
  return /^id:[0-9]+$/i.test(text);
}

/** E-mail addresses are compared without case (R12). */
export function emailKey(email: string): string {
  return email.trim().normalize('NFC').toLowerCase();
}
