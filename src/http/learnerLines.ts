import type { z } from 'zod';
import type { Learner } from '../domain/learner.ts';
import { findLearners } from '../run/find.ts';
import type { HttpContext } from './context.ts';
import type { Lines } from './shapes/common.ts';

/** The learners that a request names, each once, and what becomes of each line of its list. */
export interface NamedLearners {
  readonly learners: readonly Learner[];
  /** `done` says what became of a known learner; others are `unknown`, `repeated` or `blank`. */
  lines(done: (learner: Learner) => string): z.output<typeof Lines>;
}

export async function namedLearners({ store }: HttpContext, texts: readonly string[]): Promise<NamedLearners> {
  const found = await findLearners(store, [...new Set(texts)]);
  const first = new Map<number, number>();
  for (const [at, text] of texts.entries()) {
    const learner = found.get(text);
    if (learner && !first.has(learner.id)) first.set(learner.id, at);
  }
  const isFirst = (learner: Learner, at: number) => first.get(learner.id) === at;
  return {
    learners: texts.flatMap((text, at) => {
      const learner = found.get(text);
      return learner && isFirst(learner, at) ? [learner] : [];
    }),
    lines: (done) =>
      texts.map((text, at) => {
        const learner = found.get(text);
        const outcome = !learner
          ? text.trim() === ''
            ? 'blank'
            : 'unknown'
          : isFirst(learner, at)
            ? done(learner)
            : 'repeated';
        return { learner: text, outcome };
      }),
  };
}
