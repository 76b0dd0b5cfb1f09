import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { settleBatch } from '../../../src/reconcile/settleBatch.ts';
import { applyBatch } from '../../../src/run/applyBatch.ts';
import { digest } from '../../../src/run/digest.ts';
import { figure } from '../../faults/harness/figures.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const undisturbed = useMuster();
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups';
const GROUPS = ['sector-a', 'sector-b', 'lone', 'sector-a;lone'];

/** 3,000 learners; on later nights one in fifty has moved and one in a hundred has left. */
function night(number: number): string {
  const rows = Array.from({ length: 3_000 }, (_, at) => {
    const id = String(at).padStart(5, '0');
    const moved = number > 1 && (at + number) % 50 === 0 ? 1 : 0;
    const status = number > 1 && (at + number) % 100 === 7 ? 'T' : 'A';
    return `${id},p${id}@x.org,First${id},Last${id},${status},${GROUPS[(at + moved) % GROUPS.length]}`;
  });
  return `${[HEADER, ...rows].join('\n')}\n`;
}

beforeAll(async () => {
  for (const one of [muster, undisturbed]) {
    await one.structure(COMPANY);
    await one.feed(HR);
  }
});

async function sameAsUndisturbed(): Promise<void> {
  expect(await muster.store.outbox.countDocuments()).toBe(0);
  expect(await muster.store.setAside.countDocuments()).toBe(0);
  expect(await digest(muster.store)).toBe(await digest(undisturbed.store));
}

describe('R24: the database is the truth, the queue is only speed', () => {
  let number = 0;
  afterEach(() => muster.startWorkers());

  test.each(['before the workers start', 'while they are at work'])('fault 11: Redis is emptied %s', async (when) => {
    number += 1;
    expect(await undisturbed.import(night(number))).toMatchObject({ state: 'completed' });
    await muster.stopWorkers();
    const run = await muster.read(night(number));
    expect(run.state).toBe('applying');
    if (when.startsWith('before')) await muster.emptyRedis();
    await muster.startWorkers();
    for (let emptied = 0; when.startsWith('while') && emptied < 5; emptied += 1) await muster.emptyRedis();
    expect((await muster.settled(run._id)).state).toBe('completed');
    await sameAsUndisturbed();
    await muster.stopWorkers();
  });

  test('fault 15: every job delivered again, in any order, writes nothing', { timeout: 120_000 }, async () => {
    number += 1;
    expect(await undisturbed.import(night(number))).toMatchObject({ state: 'completed' });
    const { run } = await muster.import(night(number));
    await sameAsUndisturbed();
    const audits = await muster.store.audit.countDocuments();
    const batches = await muster.store.batches.find({ '_id.run': run }).toArray();
    expect(batches.length).toBeGreaterThan(0);
    const kinds = ['purge', 'expire', 'subscribe'] as const;
    for (const { _id } of batches.reverse()) {
      for (const kind of kinds) await settleBatch(muster.context, _id, kind);
      expect(await applyBatch(muster.context, _id)).toBeNull();
    }
    expect(await muster.store.audit.countDocuments()).toBe(audits);
    await sameAsUndisturbed();
    figure(
      '15',
      'again',
      `${batches.length * (kinds.length + 1)} further deliveries of a run of 3,000 learners: 0 writes, same digest`,
    );
  });
});
