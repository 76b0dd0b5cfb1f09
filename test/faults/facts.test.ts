import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import iconv from 'iconv-lite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExternalId, GroupId, LearnerId, RunId } from '../../src/domain/ids.ts';
import { settleBatch } from '../../src/reconcile/settleBatch.ts';
import { applyBatch } from '../../src/run/applyBatch.ts';
import { digest } from '../../src/run/digest.ts';
import { addMembers, moveLearner } from '../../src/run/memberships.ts';
import { importStructure } from '../../src/run/structureChange.ts';
import { verify } from '../../src/run/verify.ts';
import { readFeedFile } from '../../src/settings/feed.ts';
import { saveFeed } from '../../src/store/feeds.ts';
import { learnersByExternalId } from '../../src/store/learners.ts';
import { freshDatabase } from '../servers.ts';
import { Child, childrenOf, workerScript } from './harness/children.ts';
import { ALL, figure } from './harness/figures.ts';
import { intercept } from './harness/intercept.ts';
import { externalIdOf, FEED, night } from './harness/nights.ts';
import { readOnly } from './harness/readOnly.ts';
import { seeded } from './harness/seed.ts';
import { expireTransactions } from './harness/sessions.ts';
import { factsOf, World } from './harness/world.ts';

const random = seeded();
const servers = freshDatabase();
let world: World;
let skipped = 0;
beforeAll(async () => {
  world = await World.open({ ...servers, clock: { now: () => new Date(Date.now() + skipped) } });
}, 300_000);
afterAll(() => world.close());

async function learner(at: number): Promise<LearnerId> {
  const id = externalIdOf(at);
  return (await learnersByExternalId(world.engine.store, [id])).get(id)?.id as LearnerId;
}

async function group(externalId: string): Promise<GroupId> {
  return (await world.engine.store.groups.findOne({ externalId: externalId as ExternalId }))?._id as GroupId;
}

describe('jobs look at what is true now', () => {
  test('fault 16: a settlement comes months late, and writes what is true by then', async () => {
    const { engine } = world;
    const { context, store } = engine;
    await world.reset(2);
    const run = await readOnly(engine, world.path(2));
    for (const { _id } of await store.outbox.find().sort({ _id: 1 }).toArray()) await applyBatch(context, _id);
    const late = await store.outbox.find({ '_id.run': run._id }).sort({ _id: 1 }).toArray();
    expect(late.length).toBeGreaterThan(0);
    skipped += 180 * 86_400_000;
    // By now a person has put one of the movers back, and moved somebody else.
    await addMembers(context, { group: await group('sector-a'), learners: [await learner(0)], by: 'test' });
    await moveLearner(context, {
      learner: await learner(1),
      from: await group('sector-b'),
      to: await group('sector-a'),
      by: 'test',
    });
    for (const { _id, job } of late) await settleBatch(context, _id, job as 'expire');
    const after = await digest(store);
    const audits = await store.audit.countDocuments();
    for (const { _id, job } of late) await settleBatch(context, _id, job as 'expire');
    expect(await digest(store)).toBe(after);
    expect(await store.audit.countDocuments()).toBe(audits);
    expect((await verify(context, { repair: false })).drift).toEqual([]);
    skipped = 0;
    figure(
      '16',
      'late',
      `${late.length} settlements half a year late: what is stored is what the rules derive; a second delivery wrote nothing`,
    );
  }, 300_000);

  test('fault 26: fifty writers of one learner and one group', async () => {
    const { context, store } = world.engine;
    await world.reset(2);
    const groups = Array.from({ length: 50 }, (_, at) => ({ externalId: `g${at}` as ExternalId, name: `Group ${at}` }));
    await importStructure(context, { groups, courses: [], by: 'test' });
    const one = await learner(2);
    const lone = await group('lone');
    const ids = await Promise.all(groups.map(({ externalId }) => group(externalId)));
    let aborted = 0;
    const interception = intercept(store, {
      before: ({ name }) => void (aborted += name === 'abortTransaction' ? 1 : 0),
    });
    const others = await Promise.all(Array.from({ length: 50 }, (_, at) => learner(4 * at)));
    await Promise.all([
      ...ids.map((id) => addMembers(context, { group: id, learners: [one], by: 'test' })),
      ...others.map((id) => addMembers(context, { group: lone, learners: [id], by: 'test' })),
    ]);
    interception.stop();
    const { memberships } = (await store.learners.findOne({ _id: one })) ?? { memberships: [] };
    expect(memberships.filter(({ group }) => ids.includes(group))).toHaveLength(50);
    expect(await store.learners.countDocuments({ _id: { $in: others }, 'memberships.group': lone })).toBe(50);
    expect(await store.outbox.countDocuments()).toBe(0);
    expect((await verify(context, { repair: false })).drift).toEqual([]);
    figure('26', 'writers', `all 100 settled; ${(aborted / 100).toFixed(1)} retries each`);
  }, 300_000);

  test('fault 30: indexes are gone while four workers start at once: they are built before any works', async () => {
    const { engine, options } = world;
    await world.reset(2);
    await readOnly(engine, world.path(2));
    const { learners, runs, outbox } = engine.store;
    const before = await Promise.all([learners, runs, outbox].map(async (one) => (await one.indexes()).length));
    for (const one of [learners, runs, outbox]) await one.dropIndexes();
    const script = await workerScript();
    const children = Array.from({ length: 4 }, () => new Child(script, { ...options, lock: 5_000 }));
    const ends = await Promise.all(children.map((child) => child.carryOut({ task: 'recover', path: '' })));
    await Promise.all(children.map((child) => child.kill()));
    await expireTransactions(engine.store, childrenOf(options.prefix));
    expect(ends.map(({ kind }) => kind)).toEqual(['done', 'done', 'done', 'done']);
    const after = await Promise.all([learners, runs, outbox].map(async (one) => (await one.indexes()).length));
    expect(after).toEqual(before);
    expect(await world.goOn(2)).toEqual(world.undisturbed(2));
    figure('30', 'indexes', 'four workers at once: all indexes stand again, same digest');
  }, 300_000);

  test(
    'fault 31: two feeds of the same learners, every interleaving of their batches',
    async () => {
      const { engine } = world;
      const { store, context } = engine;
      // A purge cannot be taken back: whether another feed came first decides over the results. All else is the same in any order.
      const mild = FEED.replace('courses: purge', 'courses: expire');
      const other = mild.replace('name: hr', 'name: branch');
      await saveFeed(store, other, readFeedFile(other, 'branch.yaml'), 'database');
      writeFileSync(join(world.directory, 'branch.csv'), branch());
      const digests = new Set<string>();
      const orders = interleavings(ALL ? 70 : 12);
      const paths = [world.path(2), join(world.directory, 'branch.csv')] as const;
      const read = (which: number) => readOnly(engine, paths[which] as string, which === 0 ? 'hr' : 'branch');
      const prepare = async () => {
        await world.reset(2);
        await saveFeed(store, mild, readFeedFile(mild, 'hr.yaml'), 'database');
        await saveFeed(store, other, readFeedFile(other, 'branch.yaml'), 'database');
      };
      for (const order of orders) {
        await prepare();
        const runs = [await read(0), await read(1)];
        for (const which of order) await step(runs[which]?._id as RunId);
        for (const { _id } of runs) while (await step(_id));
        digests.add(await digest(store));
      }
      for (const order of [
        [0, 1],
        [1, 0],
      ]) {
        await prepare();
        for (const which of order) for (const run = await read(which); await step(run._id); );
        digests.add(await digest(store));
      }
      expect((await verify(context, { repair: false })).drift).toEqual([]);
      expect(await store.learners.countDocuments({ status: 'inactive', 'memberships.0': { $exists: true } })).toBe(0);
      expect(digests.size).toBe(1);
      figure(
        '31',
        'orders',
        `${orders.length} interleavings of 4 steps of each feed, and one feed wholly after the other: one digest`,
      );

      /** The next piece of the run's work; false: none is left. */
      async function step(run: RunId): Promise<boolean> {
        const entry = await store.outbox.findOne({ '_id.run': run }, { sort: { _id: 1 } });
        if (!entry) return false;
        if (entry.job === 'apply') await applyBatch(context, entry._id);
        else await settleBatch(context, entry._id, entry.job);
        return true;
      }
    },
    ALL ? 300_000 : 60_000,
  );
});

/** What another feed says of the first 100 learners: the same names, other groups, and it still names those who leave. */
function branch(): string {
  const idOf = (row: string) => row.slice(0, row.indexOf(','));
  const tonight = new Map(
    night(2)
      .split('\n')
      .map((row) => [idOf(row), row]),
  );
  const rows = night(1)
    .split('\n')
    .slice(0, 101)
    .map((row) => {
      const now = tonight.get(idOf(row)) ?? row;
      return (now.includes(',T,') || now.includes('holiday') ? row : now).replace('sector-a', 'sector-b');
    });
  return `${rows.join('\n')}\n`;
}

/** Orders of four steps of feed 0 and four of feed 1, 70 in all; fewer are drawn. */
function interleavings(size: number): number[][] {
  const all: number[][] = [];
  const grow = (order: number[]) => {
    if (order.length === 8) all.push(order);
    for (const which of [0, 1]) if (order.filter((one) => one === which).length < 4) grow([...order, which]);
  };
  grow([]);
  while (all.length > size) all.splice(random.below(all.length), 1);
  return all;
}

describe('R16: a feed that is not whole changes nothing', () => {
  /** As HR systems write it: every shape that a feed's one format, CSV, comes in. `lineBreak`: bytes of the last one. */
  const shapes = [
    { shape: 'UTF-8 with commas', encoding: 'utf-8', delimiter: ',', lineEnd: '\n', mark: '', lineBreak: 1 },
    {
      shape: 'Windows-1252 with bars',
      encoding: 'windows-1252',
      delimiter: '|',
      lineEnd: '\r\n',
      mark: '',
      lineBreak: 2,
    },
    { shape: 'UTF-16 with tabs', encoding: 'utf-16le', delimiter: '\t', lineEnd: '\n', mark: '\uFEFF', lineBreak: 2 },
  ];
  test.each(shapes)(
    'fault 35: cut at every byte, $shape',
    async ({ shape, encoding, delimiter, lineEnd, mark, lineBreak }) => {
      const { engine } = world;
      const { store } = engine;
      const strict = FEED.replace('rowsPercent: off', 'rowsPercent: { min: 100, max: 100 }');
      const last = 6;
      const first = night(1, last);
      const second = first
        .replace(
          `${externalIdOf(1)},p1@x.org,First1,Last1,A,sector-b`,
          `${externalIdOf(1)},p1@x.org,First1,"Last; 1",A,sector-a`,
        )
        .replace('First5', 'Fünf');
      const written = (text: string) =>
        iconv.encode(
          `${mark}${text.replaceAll(',', delimiter).replace('Last;', `Last${delimiter}`).replaceAll('\n', lineEnd)}`,
          encoding,
          {
            addBOM: false,
          },
        );
      const path = join(world.directory, 'cut.csv');
      await world.reset(1);
      const feed = `${strict}format: { type: csv, encoding: ${encoding}, delimiter: ${JSON.stringify(delimiter)} }\n`;
      await saveFeed(store, feed, readFeedFile(feed, 'hr.yaml'), 'database');
      writeFileSync(path, written(first));
      expect((await engine.import(path)).state).toBe('completed');
      const before = await digest(store);
      const bytes = written(second);
      const changed = new Set<number>();
      const step = ALL ? 1 : 9;
      const from = ALL ? 0 : random.below(step);
      let cuts = 0;
      for (let cut = from; cut < bytes.length; cut += step) {
        writeFileSync(path, bytes.subarray(0, cut));
        await engine.import(path);
        const after = await digest(store);
        if (after !== before) changed.add(cut);
        cuts += 1;
      }
      writeFileSync(path, bytes);
      await engine.import(path);
      expect(await digest(store)).not.toBe(before);
      // The line break that ends the file may be missing, or half of it.
      expect([...changed].filter((cut) => cut <= bytes.length - lineBreak)).toEqual([]);
      figure('35', `csv-${shape}`, `CSV, ${shape}: ${cuts} cuts, 0 changed anything`);
    },
    300_000,
  );

  test('fault 37: the file grows or is replaced while it is read', async () => {
    const { engine } = world;
    const { store } = engine;
    const path = join(world.directory, 'growing.csv');
    const found = { refused: 0, whole: 0 };
    // At the first, the file has not been looked at yet.
    const commands = ALL ? Array.from({ length: 29 }, (_, at) => at + 2) : [2, 5, 9, 14, 20];
    for (const at of commands) {
      for (const change of ['grows', 'replaced'] as const) {
        await world.reset(2);
        const before = await digest(store);
        writeFileSync(path, night(2));
        const interception = intercept(store, {
          before: ({ number }) => {
            if (number !== at) return;
            if (change === 'grows') appendFileSync(path, `${externalIdOf(900)},p900@x.org,New,New,A,sector-a\n`);
            else {
              writeFileSync(`${path}.new`, night(1));
              renameSync(`${path}.new`, path);
            }
          },
        });
        const run = await engine.import(path).finally(() => interception.stop());
        await engine.recover();
        const { digest: after } = await factsOf(store);
        const refused = run.state === 'failed';
        found[refused ? 'refused' : 'whole'] += 1;
        expect(run.error?.code).toBe(refused ? 'source-changed' : undefined);
        expect(refused ? [before] : [before, world.undisturbed(2).digest], `${change} at command ${at}`).toContain(
          after,
        );
      }
    }
    expect(found.refused).toBeGreaterThan(0);
    figure('37', 'changed', `${found.refused} refused, saying so; ${found.whole} had been read whole before; 0 mixed`);
  }, 300_000);
});
