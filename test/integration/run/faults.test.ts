import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { sourceFile } from '../../../src/feed/sources/file.ts';
import { settleBatch } from '../../../src/reconcile/settleBatch.ts';
import { applyBatch } from '../../../src/run/applyBatch.ts';
import { digest } from '../../../src/run/digest.ts';
import { isFree } from '../../../src/run/drive.ts';
import { LEASE } from '../../../src/run/execute.ts';
import { requestRun } from '../../../src/run/request.ts';
import { sweep } from '../../../src/run/sweep.ts';
import type { RunDoc } from '../../../src/store/models.ts';
import { endLease, readRun, renewLease } from '../../../src/store/runs.ts';
import { figure } from '../../faults/harness/figures.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';
import { commandLineOf } from '../cli/commandLine.ts';

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

  test('fault 17: a sign of life from before the database was away does not bring back a lease that was ended', async () => {
    const { store } = muster;
    const request = { feed: 'hr', mode: 'full' as const, preview: true, approve: false, by: 'test' };
    const source = { name: 'hr.csv', path: '/nowhere', bytes: 0 };
    const run = await requestRun(muster.context, { ...request, source });
    const until = new Date(muster.clock.now().getTime() + LEASE);
    const reading: RunDoc = { ...run, state: 'reading', lease: { owner: 'x', host: 'x', pid: 1, until } };
    await store.runs.replaceOne({ _id: run._id }, reading);
    const later = new Date(until.getTime() + 1);
    await renewLease(store, reading, later);
    expect((await readRun(store, run._id))?.lease?.until).toEqual(later);
    await endLease(store, reading);
    await renewLease(store, reading, later);
    const left = (await readRun(store, run._id)) as RunDoc;
    expect(left.lease).toBeUndefined();
    expect(isFree(left, muster.clock.now())).toBe(true);
    await store.runs.deleteOne({ _id: run._id });
  });

  test('a preview whose reader was killed is read again, as a run is', async () => {
    await muster.stopWorkers();
    const { path, name, bytes } = await sourceFile(muster.file(night(0)));
    const request = { feed: 'hr', mode: 'full' as const, preview: true, approve: false, by: 'test' };
    const run = await requestRun(muster.context, { ...request, source: { name, path, bytes } });
    const lease = { owner: 'x', host: 'another', pid: 1, until: new Date(muster.clock.now().getTime() - 1) };
    await muster.store.runs.updateOne({ _id: run._id }, { $set: { state: 'reading', attempt: 1, lease } });
    await muster.startWorkers();
    await sweep(muster.context, muster.queues);
    expect(await muster.settled(run._id)).toMatchObject({ state: 'planned', preview: true });
    await muster.stopWorkers();
    await muster.store.runs.deleteOne({ _id: run._id });
  });

  test("a scheduled run that was killed while reading goes on before the next one: its file is the feed's own", async () => {
    await muster.stopWorkers();
    await muster.feed(`${HR.replace('name: hr', 'name: own')}source: { file: own.csv }\n`);
    writeFileSync(join(muster.directory, 'own.csv'), 'EmployeeID,Mail,FirstName,LastName,Status,Groups\n');
    const request = { feed: 'own', mode: 'full' as const, preview: false, approve: true, by: 'schedule' };
    const run = await requestRun(muster.context, request);
    const lease = { owner: 'x', host: 'another', pid: 1, until: new Date(0) };
    const killed = { state: 'reading' as const, attempt: 1, working: true, lease };
    await muster.store.runs.updateOne({ _id: run._id }, { $set: killed });
    await commandLineOf(muster).run('run own');
    expect(await readRun(muster.store, run._id)).toMatchObject({ state: 'completed' });
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
