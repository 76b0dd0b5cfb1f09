import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import type { GroupId, LearnerId } from '../../../../src/domain/ids.ts';
import { written } from '../../../../src/run/reports/formats.ts';
import { runReport } from '../../../../src/run/reports/rows.ts';
import { atTheMachine } from '../../../../src/run/reports/saved.ts';
import { sightOf } from '../../../../src/run/sight.ts';
import { type ReportFormat, readReport } from '../../../../src/settings/report.ts';
import { useMuster } from '../../../harness.ts';

const muster = useMuster();
const FEW = 10_000;
const MANY = 100_000;
/** A row of eight cells takes more than 600 bytes in Node: all rows together would take three times this, bytes. */
const LITTLE = 20e6;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What is held, garbage aside, bytes. The size of the process says more of the collector's mood. */
function held(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** How much more than before was held at most, bytes, while so many rows were written. */
async function growth(format: ReportFormat, limit: number): Promise<number> {
  const { context } = muster;
  const report = readReport({
    name: 'Many',
    what: 'memberships',
    columns: ['groupName', 'learner', 'lastName', 'firstName', 'email', 'learnerStatus', 'sources', 'validUntil'],
  });
  const sight = await sightOf(context, atTheMachine('test'));
  const before = held();
  let [most, bytes, chunks] = [before, 0, 0];
  for await (const chunk of written(runReport(context, report, sight, { limit }), format)) {
    bytes += chunk.byteLength;
    chunks += 1;
    if (chunks % 25 === 0) most = Math.max(most, held());
  }
  most = Math.max(most, held());
  expect(bytes).toBeGreaterThan(limit * (format === 'xlsx' ? 1 : 50));
  return most - before;
}

/** Learners who are in ten groups each. */
async function fill(learners: number): Promise<void> {
  const groups = Array.from({ length: 10 }, (_, at) => at + 1) as GroupId[];
  const memberships = groups.map((group) => ({ group, sources: [{ source: 'hr', until: new Date('2027-01-01') }] }));
  for (let id = 1; id <= learners; id += 1_000) {
    await muster.store.learners.insertMany(
      Array.from({ length: 1_000 }, (_, at) => ({
        _id: (id + at) as LearnerId,
        email: `first.last.${id + at}@staff.example.org`,
        firstName: `First ${id + at}`,
        lastName: `Last ${id + at}`,
        status: 'active' as const,
        attributes: {},
        memberships,
        holds: [],
        revision: 1,
      })),
    );
  }
}

test('ten times the rows take no more memory: they are written as they are read', { timeout: 180_000 }, async () => {
  await fill(MANY / 10);
  for (const format of ['csv', 'xlsx'] as const) {
    const few = await growth(format, FEW);
    expect((await growth(format, MANY)) - few).toBeLessThan(LITTLE);
  }
});
