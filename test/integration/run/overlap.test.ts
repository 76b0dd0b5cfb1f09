import { beforeAll, expect, test } from 'vitest';
import type { ExternalId } from '../../../src/domain/ids.ts';
import type { SettleKind } from '../../../src/domain/settle.ts';
import { settleBatch } from '../../../src/reconcile/settleBatch.ts';
import { applyBatch } from '../../../src/run/applyBatch.ts';
import { drainRun } from '../../../src/run/manual.ts';
import { addMembers, removeMembers } from '../../../src/run/memberships.ts';
import { linkCourses } from '../../../src/run/structureChange.ts';
import { verify } from '../../../src/run/verify.ts';
import type { BatchId } from '../../../src/store/models.ts';
import { ofRun } from '../../../src/store/outbox.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups';
const by = 'ann';

const file = (...rows: string[]) => `${[HEADER, ...rows].join('\n')}\n`;
const row = (id: string, group: string) => `${id},${id}@x.org,First,Last,A,${group}`;

beforeAll(async () => {
  // `twin` gives what `sector-a` gives.
  const twin = { externalId: 'twin' as ExternalId, name: 'Twin', parent: 'all' as ExternalId };
  const empty = { externalId: 'empty' as ExternalId, name: 'Empty' };
  const groups = [...(COMPANY.groups ?? []), { ...twin, courses: ['safety' as ExternalId] }, empty];
  await muster.structure({ ...COMPANY, groups });
  await muster.feed(HR);
  await muster.stopWorkers();
});

/** Imports the file to its end. */
async function drain(...rows: string[]): Promise<void> {
  const run = await muster.read(file(...rows), { approve: true });
  await drainRun(muster.context, run._id);
}

/** Reads the file and applies its one batch, whose settlement then waits. */
async function applied(...rows: string[]): Promise<{ id: BatchId; kind: SettleKind }> {
  const run = await muster.read(file(...rows), { approve: true });
  const entry = await muster.store.outbox.findOne(ofRun(run._id));
  const id = entry?._id as BatchId;
  return { id, kind: (await applyBatch(muster.context, id)) as SettleKind };
}

/** Settles a batch, and does something else between what its transaction reads and what it writes. */
async function settleAround({ id, kind }: { id: BatchId; kind: SettleKind }, other: () => Promise<unknown>) {
  let held = false;
  const subscriptions = new Proxy(muster.store.subscriptions, {
    get: (target, key) => {
      if (key !== 'find') return Reflect.get(target, key).bind?.(target) ?? Reflect.get(target, key);
      return (filter: object, options: object) => ({
        toArray: async () => {
          const found = await target.find(filter, options).toArray();
          if (!held) {
            held = true;
            await other();
          }
          return found;
        },
      });
    },
  });
  const services = { ...muster.context, store: { ...muster.store, subscriptions } };
  await settleBatch(services, id, kind);
  expect(held).toBe(true);
  await drainRun(muster.context, id.run);
}

async function isWhole(): Promise<void> {
  expect((await verify(muster.context, { repair: false })).drift).toEqual([]);
}

test('R4: a settlement that overlaps with one that found the course given already ends nothing that is given', async () => {
  await drain(row('a', 'sector-a'));
  const removal = await applied(row('a', 'lone'));
  expect(removal.kind).toBe('expire');
  await settleAround(removal, async () =>
    addMembers(muster.context, { group: await muster.group('twin'), learners: [await muster.learner('a')], by }),
  );
  expect(await muster.subscriptions('a')).toEqual(['safety: active', 'welcome: active']);
  await isWhole();
});

test('R4: a settlement that overlaps with one that found nothing to end gives nothing that is not given', async () => {
  await drain(row('a', 'lone'), row('b', 'empty'));
  expect(await muster.store.subscriptions.findOne({ _id: await muster.learner('b') })).toBeNull();
  const joining = await applied(row('a', 'lone'), row('b', 'sector-a'));
  await settleAround(joining, async () =>
    removeMembers(muster.context, {
      group: await muster.group('sector-a'),
      learners: [await muster.learner('b')],
      courses: 'expire',
      by,
    }),
  );
  expect(await muster.subscriptions('b')).toEqual([]);
  await isWhole();
});

test('R4: a settlement that overlaps with a change of structure that found the course given already ends nothing', async () => {
  await drain(row('a', 'lone'), row('b', 'lone'), row('c', 'sector-a;empty'));
  const removal = await applied(row('a', 'lone'), row('b', 'lone'), row('c', 'empty'));
  const courses = await Promise.all(['safety', 'welcome'].map((name) => muster.course(name)));
  await settleAround(removal, async () =>
    linkCourses(muster.context, { group: await muster.group('empty'), courses, by }),
  );
  expect(await muster.subscriptions('c')).toEqual(['safety: active', 'welcome: active']);
  await isWhole();
});
