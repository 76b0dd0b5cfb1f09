import { expect, test } from 'vitest';
import { withOwnTexts } from '../../../src/feed/text.ts';

test('strings of their own say the same, however deep they lie, and nothing else is changed', () => {
  const at = new Date('2026-11-28T00:00:00Z');
  const value = {
    learner: 7,
    create: { externalId: '0012', attributes: { site: 'Zürich 🏔' } },
    fields: [{ field: 'email', after: 'a@x.org' }, { field: 'lastName' }],
    memberships: [{ group: 3, before: [], after: [{ from: at }, { until: null }] }],
    shielded: false,
    rows: [2, 9],
  };
  const own = withOwnTexts(value);
  expect(own).toEqual(value);
  expect(own.memberships[0]?.after[0]?.from).toBe(at);
  expect(own.create).not.toBe(value.create);
});
