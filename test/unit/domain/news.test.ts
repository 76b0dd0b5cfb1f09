import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type FeedHealth, type News, newsOf } from '../../../src/domain/news.ts';
import type { RunState } from '../../../src/domain/run.ts';

const WELL: FeedHealth = { troubles: 0, quarantined: false };

function tell(...ends: readonly (readonly [RunState, number?])[]): News[] {
  let health = WELL;
  return ends.map(([state, rejected = 0]) => {
    const news = newsOf(state, rejected, health);
    health = news.health;
    return news;
  });
}

test('the third run that failed or was held, one after another, puts the feed in quarantine, once', () => {
  const events = tell(['failed'], ['held'], ['failed'], ['held']).map((news) => news.events);
  expect(events).toEqual([['failed'], ['held'], ['failed', 'quarantine'], ['held']]);
});

test('a run that completes between them begins the count anew, and says that the feed has recovered', () => {
  const told = tell(['failed'], ['failed'], ['completed'], ['failed'], ['failed']);
  expect(told.map((news) => news.events)).toEqual([['failed'], ['failed'], ['recovered'], ['failed'], ['failed']]);
  expect(told.at(-1)?.health).toEqual({ troubles: 2, quarantined: false });
});

test('a completed run is news only where rows were rejected, or after trouble', () => {
  expect(tell(['completed'])[0]?.events).toEqual([]);
  expect(tell(['completed', 3])[0]?.events).toEqual(['rejected-rows']);
  expect(tell(['held'], ['completed', 3])[1]?.events).toEqual(['recovered', 'rejected-rows']);
});

test('what a person decides about a run is no news', () => {
  for (const state of ['cancelled', 'rejected', 'superseded'] as const) {
    expect(newsOf(state, 5, { troubles: 2, quarantined: false })).toEqual({
      events: [],
      health: { troubles: 2, quarantined: false },
    });
  }
});

test('only a person ends a quarantine, and it begins exactly with the third trouble running', () => {
  const states = fc.array(fc.constantFrom<RunState>('held', 'failed', 'completed', 'superseded', 'cancelled'));
  fc.assert(
    fc.property(states, (states) => {
      const told = tell(...states.map((state) => [state] as const));
      const trouble = states.filter((state) => ['held', 'failed', 'completed'].includes(state));
      const three = trouble.some((_, at) => at >= 2 && !trouble.slice(at - 2, at + 1).includes('completed'));
      expect(told.at(-1)?.health.quarantined ?? false).toBe(three);
      expect(told.flatMap((news) => news.events).filter((event) => event === 'quarantine')).toHaveLength(three ? 1 : 0);
    }),
  );
});
