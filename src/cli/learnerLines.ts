import { resolve } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { UsageError } from '../domain/errors.ts';
import type { Learner } from '../domain/learner.ts';
import { findLearners } from '../run/find.ts';
import type { Store } from '../store/store.ts';
import type { Cli } from './cli.ts';
import { readText } from './readText.ts';
import { learnersOf } from './references.ts';
import { table } from './table.ts';

/** One learner as named on the command line or in a list, and what became of it. */
export interface LearnerLine {
  /** Line of the list, from 1; null on the command line. */
  readonly line: number | null;
  readonly text: string;
  /** The learner; undefined = unknown. */
  readonly learner: Learner | undefined;
  /** The same learner was named before. */
  readonly repeated: boolean;
}

/** A line with what was done, in the words of the command. */
export interface LineOutcome {
  readonly line: number | null;
  readonly text: string;
  readonly outcome: string;
}

/**
 * The learners that arguments or a list name. An unknown one among the arguments refuses all; in a list (one External
 * ID or e-mail address a line, `-` is standard input) it is a line with its outcome, and the others are done.
 */
export async function namedLearners(
  cli: Cli,
  store: Store,
  names: readonly string[],
  file: string | undefined,
): Promise<LearnerLine[]> {
  if (names.length > 0 === (file !== undefined)) {
    throw new UsageError('Name learners, or a list of them with --file FILE (one of the two); nothing was changed.');
  }
  if (file === undefined) {
    await learnersOf(store, names);
    return linesOf(
      store,
      names.map((text) => ({ line: null, text })),
    );
  }
  const list = file === '-' ? await textOf(cli.stdin) : readText(resolve(cli.directory, file));
  const lines = list
    .replace(/^\ufeff/, '')
    .split(/\r\n|\n|\r/)
    .map((text, at) => ({ line: at + 1, text: text.trim().replace(/^"(.*)"$/, '$1') }));
  return linesOf(
    store,
    lines.filter(({ text }) => text !== ''),
  );
}

async function linesOf(store: Store, lines: readonly { line: number | null; text: string }[]): Promise<LearnerLine[]> {
  const found = await findLearners(store, [...new Set(lines.map(({ text }) => text))]);
  const seen = new Set<number>();
  return lines.map(({ line, text }) => {
    const learner = found.get(text);
    const repeated = learner !== undefined && seen.has(learner.id);
    if (learner) seen.add(learner.id);
    return { line, text, learner, repeated };
  });
}

/** Learners to be worked on, each once. */
export function learnersIn(lines: readonly LearnerLine[]): Learner[] {
  return lines.flatMap(({ learner, repeated }) => (learner && !repeated ? [learner] : []));
}

/** What became of each line; `done` says it of a known learner. */
export function outcomesOf(lines: readonly LearnerLine[], done: (learner: Learner) => string): LineOutcome[] {
  return lines.map(({ line, text, learner, repeated }) => ({
    line,
    text,
    outcome: learner === undefined ? 'unknown' : repeated ? 'repeated' : done(learner),
  }));
}

/** For a person: how many of each outcome, and the lines that were not done. */
export function outcomesText(lines: readonly LineOutcome[], done: string): string {
  const counts = new Map<string, number>();
  for (const { outcome } of lines) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  const sums = [...counts].map(([outcome, times]) => `${times} ${outcome}`).join(', ');
  const others = lines.filter(({ outcome }) => outcome !== done);
  if (others.length === 0) return `${sums}.`;
  return `${sums}.\n${table(
    ['line', 'learner', 'outcome'],
    others.map(({ line, text, outcome }) => [line ?? '', text, outcome]),
  )}`;
}

/** `--strict`: exit code 4 where a line was unknown. */
export function strictly(cli: Cli, lines: readonly LineOutcome[], strict: boolean | undefined): void {
  if (strict && lines.some(({ outcome }) => outcome === 'unknown')) cli.exit = 4;
}
