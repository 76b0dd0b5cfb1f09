import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { beforeAll, describe, expect, test } from 'vitest';
import type { LearnerId, RunId } from '../../../src/domain/ids.ts';
import { locate, sourceFile, spool } from '../../../src/feed/sources/file.ts';
import { cancelRun } from '../../../src/run/approval.ts';
import { continueErasures, eraseLearner, liftErasure, tracesOf } from '../../../src/run/erase.ts';
import { executeRun } from '../../../src/run/execute.ts';
import { grantCourse } from '../../../src/run/grants.ts';
import { drainRun } from '../../../src/run/manual.ts';
import { addLearner, addMembers, editLearner, moveLearner, removeMembers } from '../../../src/run/memberships.ts';
import { recordProgress } from '../../../src/run/progress.ts';
import { requestRun } from '../../../src/run/request.ts';
import { undoRun } from '../../../src/run/undo.ts';
import { verify } from '../../../src/run/verify.ts';
import { readReport } from '../../../src/settings/report.ts';
import { sealAudit } from '../../../src/store/auditChain.ts';
import { learnersById } from '../../../src/store/learners.ts';
import type { RunDoc } from '../../../src/store/models.ts';
import { addReport } from '../../../src/store/reports.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups';
const ZOE = 'ZQX-4711,zoe.quux@zzqq.example,Zoeqqx,Quuxzz,A,sector-a';
const OTHERS = [
  '001,p1@x.org,Ann,Arbor,A,sector-a',
  '002,p2@x.org,Bob,Berg,A,sector-b',
  '003,p3@x.org,Cy,Cole,A,sector-b',
];
const by = 'dpo';
const TEXTS = ['zqx-4711', 'zoe.quux', 'zoe.old', 'zoe.new', 'zoeqqx', 'quuxzz', 'zattrzz', 'zactivityzz'];

const file = (...rows: string[]) => `${[HEADER, ...rows].join('\n')}\n`;
const places = () => ({ base: muster.directory, data: join(muster.directory, 'data') });
const zoe = () => muster.learner('ZQX-4711');

/** Everything below a directory, as text. */
function* filesBelow(directory: string): Generator<[string, string]> {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (statSync(path).isDirectory()) yield* filesBelow(path);
    else yield [path, readFileSync(path).toString('latin1')];
  }
}

/** Where any of the person's texts still stands: in any collection, Redis key or file below MUSTER_DATA. */
async function traces(): Promise<string[]> {
  const found: string[] = [];
  const look = (where: string, text: string) => {
    const low = text.replaceAll('\0', '').toLowerCase();
    for (const one of TEXTS) if (low.includes(one)) found.push(`${where}: ${one}`);
  };
  const { db } = muster.store.connection;
  for (const { name } of (await db?.listCollections().toArray()) ?? []) {
    for await (const bytes of db?.collection(name).find({}, { raw: true }) ?? [])
      look(name, Buffer.from(bytes as unknown as Uint8Array).toString('latin1'));
  }
  const { redis, prefix } = muster.queues;
  for (const key of await redis.keys(`${prefix}*`))
    look('redis', `${key} ${(await redis.dumpBuffer(key))?.toString('latin1')}`);
  for (const [path, text] of filesBelow(places().data)) look(path, text);
  return [...new Set(found)];
}

async function sealAll(): Promise<void> {
  while ((await sealAudit(muster.store)) > 0);
}

async function chain() {
  await sealAll();
  const { audit, drift } = await verify(muster.context, { repair: false });
  return { breaks: audit.breaks, drift };
}

beforeAll(async () => {
  mkdirSync(join(places().data, 'inbox'), { recursive: true });
  await muster.structure(COMPANY);
  await muster.feed(HR);
  await muster.feed(
    `name: inbox\nsource: { file: data/inbox/more.csv }\nlearner: { externalId: EmployeeID, email: Mail }\ngroups: [{ column: Groups }]\n`,
  );
});

describe('Privacy: a person is erased', () => {
  let learner: LearnerId;

  test('what is planted everywhere is found everywhere', async () => {
    await muster.import(file(...OTHERS, ZOE.replace('zoe.quux', 'zoe.old')));
    learner = await zoe();
    // In the history: changed by feed and hand, moved, purged, granted, with results.
    await muster.import(file(...OTHERS, ZOE));
    await muster.import(file(...OTHERS, ZOE, ZOE), { preview: true });
    await editLearner(muster.context, { learner, set: { 'attributes.note': 'zattrzz' }, by });
    const [safety, sales] = [await muster.course('safety'), await muster.course('sales')];
    await recordProgress(muster.context, { learner, course: safety, completion: 50, activity: 'zactivityzz' });
    await moveLearner(muster.context, {
      learner,
      from: await muster.group('sector-a'),
      to: await muster.group('sector-b'),
      by,
    });
    await grantCourse(muster.context, { course: sales, learners: [learner], by });
    await addMembers(muster.context, { group: await muster.group('lone'), learners: [learner], by });
    await removeMembers(muster.context, {
      group: await muster.group('lone'),
      learners: [learner],
      courses: 'purge',
      by,
    });
    // Rejected rows, of the person and of somebody who asks for the person's address.
    await muster.import(
      file(...OTHERS, ZOE, ZOE.replace('sector-a', 'no-such-group'), '004,zoe.quux@zzqq.example,Di,Dorn,A,sector-b'),
    );
    // An operation set aside, an answer that was kept, a file to come.
    await muster.store.setAside.insertOne({
      _id: 'aside',
      run: 'r1' as never,
      batch: 1,
      feed: 'hr',
      job: 'apply',
      learner,
      groups: [],
      error: { code: 'test', message: 'test' },
      tries: [],
      retryAt: null,
      createdAt: muster.clock.now(),
      change: { learner, revision: 1, fields: [{ field: 'lastName', after: 'Quuxzz' }], memberships: [] },
    });
    await muster.store.idempotency.insertOne({
      _id: { who: 'key:k1', key: '1' },
      request: '',
      until: new Date(0),
      expiresAt: new Date('2100-01-01'),
      answer: { status: 200, type: 'application/json', body: JSON.stringify({ externalId: 'ZQX-4711' }) },
    });
    writeFileSync(
      join(places().data, 'inbox', 'more.csv'),
      '\ufeffEmployeeID;Mail;Groups\r\n001;p1@x.org;sector-a\r\nZQX-4711;ZOE.QUUX@zzqq.example;sector-a\r\n',
    );
    // Reports that are sent to the person, alone and beside another.
    for (const [name, to] of [
      ['Both', ['Zoe.Quux@zzqq.example', 'hr@example.org']],
      ['Alone', ['zoe.quux@zzqq.example']],
    ] as const) {
      const settings = readReport({ name, what: 'learners', schedule: { cron: '0 6 * * *' }, send: { to } });
      await addReport(muster.context, { settings, owner: 'cli:test', by, origin: 'database' });
    }
    // A held plan, with its upload.
    const copy = await spool(
      Readable.from([file(OTHERS[0] as string, ZOE.replace('zoe.quux', 'zoe.new'))]),
      join(places().data, 'uploads', 'host_1'),
      'hr.csv',
    );
    const request = { feed: 'hr', mode: 'full' as const, preview: false, approve: false, by: 'test' };
    const run = await requestRun(muster.context, {
      ...request,
      source: { name: 'hr.csv', path: copy.path, bytes: copy.bytes, temporary: true },
    });
    expect((await executeRun(muster.context, run, await sourceFile(copy.path))).state).toBe('held');
    await sealAll();
    const where = new Set((await traces()).map((line) => line.split(':')[0]));
    for (const one of ['learners', 'progress', 'batches', 'rejected', 'runs', 'setAside', 'idempotency', 'reports'])
      expect([...where]).toContain(one);
  });

  test('what would go is said beforehand, and nothing is changed', async () => {
    const before = await traces();
    const live = (await learnersById(muster.store, [learner])).get(learner);
    expect(await tracesOf(muster.context, places(), live as never)).toMatchObject({
      memberships: 1,
      subscriptions: 3,
      results: 1,
      setAside: 1,
      files: 2,
      reports: 2,
    });
    expect(await traces()).toEqual(before);
  });

  test('a reason that names the person is refused', async () => {
    const order = { learner, by, reason: 'Zoeqqx Quuxzz asked for it' };
    await expect(eraseLearner(muster.context, places(), order)).rejects.toThrow('names the person');
  });

  test('nothing of the person is left in any collection, Redis key or file, and the chain is whole', async () => {
    const { waitsFor } = await eraseLearner(muster.context, places(), { learner, by, reason: 'asked for it' });
    expect(waitsFor).toEqual([]);
    expect(await traces()).toEqual([]);
    expect(await chain()).toEqual({ breaks: [], drift: [] });
    expect(await muster.store.audit.findOne({ why: 'learners erase' })).toMatchObject({ by, learners: [learner] });
  });

  test('reports go to those who are left, and to nobody where nobody is', async () => {
    const sent = await muster.store.reports.find().sort({ name: 1 }).toArray();
    expect(sent.map(({ settings: { send, schedule } }) => [send?.to, schedule.cron])).toEqual([
      [undefined, undefined],
      [['hr@example.org'], '0 6 * * *'],
    ]);
  });

  test('others keep what they have', async () => {
    expect(await muster.memberships('001')).toEqual(['sector-a: hr']);
    expect(readFileSync(join(places().data, 'inbox', 'more.csv'), 'utf8')).toBe(
      '\ufeffEmployeeID;Mail;Groups\r\n001;p1@x.org;sector-a\r\n',
    );
  });

  test('the next import does not bring the person back: no rejected row, no leaver, no change (R17)', async () => {
    const report = await muster.import(file(...OTHERS, ZOE, ZOE.replace('sector-a', 'no-such-group')));
    expect(report).toMatchObject({
      state: 'completed',
      noChange: true,
      rows: { read: 5, accepted: 3, rejected: 0 },
      learners: { created: 0, deactivated: 0, unchanged: 3 },
      memberships: { removed: 0 },
      protected: { learners: 0, groups: 0 },
      problems: [{ row: null, code: 'erased', count: 2 }],
    });
    expect(JSON.stringify(report.problems)).not.toMatch(/zqx|zoe/i);
    // The same bytes are 'no change' by their hash alone, and a row edited elsewhere costs no more than itself.
    expect(await muster.import(file(...OTHERS, ZOE, ZOE.replace('sector-a', 'no-such-group')))).toMatchObject({
      noChange: true,
    });
    expect(await muster.import(file(...OTHERS, ZOE))).toMatchObject({
      noChange: true,
      problems: [{ code: 'erased', count: 1 }],
    });
    expect(await traces()).toEqual([]);
  });

  test('another External ID with the address is the same person; a stored learner who receives it is not', async () => {
    const changed = OTHERS.map((row) => row.replace('p1@x.org', 'zoe.quux@zzqq.example'));
    const report = await muster.import(file(...changed, ZOE.replace('ZQX-4711', '777')), { approve: true });
    expect(report).toMatchObject({
      learners: { created: 0, updated: 1, deactivated: 0 },
      problems: [{ code: 'erased', count: 1 }],
    });
    await muster.import(file(...OTHERS, ZOE), { approve: true });
    expect(await muster.memberships('001')).toEqual(['sector-a: hr']);
  });

  test('nor can the person be added by hand, until the erasure is lifted; then the same bytes bring them back', async () => {
    const identity = { externalId: 'ZQX-4711' as never, status: 'active' as const, attributes: {} };
    await expect(addLearner(muster.context, { identity, by })).rejects.toThrow('was erased');
    await expect(liftErasure(muster.context, { text: 'nobody', by })).rejects.toThrow('Nobody who was erased');
    expect(await liftErasure(muster.context, { text: 'ZQX-4711', by })).toMatchObject({ lifted: 1 });
    expect(await muster.import(file(...OTHERS, ZOE))).toMatchObject({ learners: { created: 1 }, problems: [] });
    expect(await zoe()).not.toBe(learner);
    expect(await muster.subscriptions('ZQX-4711')).toEqual(['safety: active', 'welcome: active']);
  });

  test('a run that made the person can be undone, for all who are left', async () => {
    await eraseLearner(muster.context, places(), { learner: await zoe(), by });
    const made = await muster.store.batches.findOne({
      'changes.create': { $exists: true },
      'changes.learner': learner,
    } as never);
    const undone = await undoRun(muster.context, { run: made?._id.run as never, by });
    await drainRun(muster.context, undone._id);
    expect((await muster.settled(undone._id)).state).toMatch(/completed|held/);
    expect(await traces()).toEqual([]);
  });
});

describe('Privacy: an External ID that was given to somebody else', () => {
  test('is theirs: they keep all that they have, stay importable, and the preview counts nothing of theirs', async () => {
    const row = (id: string) => `${id},${id}@heirs.example,Hei,${id}Heir,A,sector-a`;
    await muster.import(file(...OTHERS, row('E1')), { approve: true });
    const first = await muster.learner('E1');
    await editLearner(muster.context, { learner: first, set: { externalId: 'E2', email: 'e2@heirs.example' }, by });
    await muster.import(file(...OTHERS, row('E1'), row('E2')), { approve: true });
    const heir = await muster.learner('E1');
    expect(heir).not.toBe(first);
    await muster.import(file(...OTHERS, row('E2'), row('E1').replace('sector-a', 'no-such-group')));
    const heirs = async () => ({
      learner: await muster.store.learners.findOne({ _id: heir }),
      subscriptions: await muster.store.subscriptions.findOne({ _id: heir }),
      rejected: await muster.store.rejected.countDocuments(),
    });
    const before = await heirs();

    const live = (await learnersById(muster.store, [first])).get(first);
    expect(await tracesOf(muster.context, places(), live as never)).toMatchObject({ rejectedRows: 0 });
    await eraseLearner(muster.context, places(), { learner: first, by });

    expect(await heirs()).toEqual(before);
    expect(await muster.store.learners.findOne({ _id: first })).toBeNull();
    expect(await muster.import(file(...OTHERS, row('E1')), { approve: true })).toMatchObject({
      learners: { created: 0, deactivated: 0, unchanged: 4 },
      problems: [],
    });
    expect(await chain()).toEqual({ breaks: [], drift: [] });
  });
});

describe('Privacy: an erasure that was cut short', () => {
  test('goes on where it was, and waits for runs whose plan was made before', async () => {
    await muster.import(file(...OTHERS, '900,kill@zzqq.example,Killqqx,Zoeqqx,A,sector-a'), { approve: true });
    const learner = await muster.learner('900');
    const batches = muster.store.batches.find.bind(muster.store.batches);
    Object.assign(muster.store.batches, {
      find: () => {
        throw new Error('killed');
      },
    });
    await expect(eraseLearner(muster.context, places(), { learner, by })).rejects.toThrow('killed');
    Object.assign(muster.store.batches, { find: batches });
    expect(await muster.store.learners.findOne({ externalId: '900' as never })).toBeNull();
    expect(await traces()).not.toEqual([]);
    const { insertedId } = await muster.store.runs.insertOne({
      ...((await muster.store.runs.findOne({ preview: true })) as never as object),
      _id: 'r99999',
      state: 'reading',
      finishedAt: null,
      createdAt: new Date(0),
      outcome: {},
    } as never);
    expect(await continueErasures(muster.context, places())).toBe(1);
    await muster.store.runs.updateOne(
      { _id: insertedId },
      { $set: { state: 'failed', finishedAt: muster.clock.now() } },
    );
    expect(await continueErasures(muster.context, places())).toBe(0);
    expect(await traces()).toEqual([]);
    expect((await chain()).breaks).toEqual([]);
  });
});

test('R24: the upload of a run that was killed between plan and decision loses the rows of who is erased, and stays', async () => {
  await muster.import(file(...OTHERS, '901,cut@zzqq.example,Cutqqx,Zoeqqx,A,sector-a'), { approve: true });
  const rows = file(...OTHERS, '901,cut@zzqq.example,Cutqqx,Zoeqqx,A,sector-b');
  const copy = await spool(Readable.from([rows]), join(places().data, 'uploads', 'host_1'), 'hr.csv');
  const request = { feed: 'hr', mode: 'full' as const, preview: false, approve: false, by: 'test' };
  const { _id } = await requestRun(muster.context, {
    ...request,
    source: { name: 'hr.csv', path: copy.path, bytes: copy.bytes, temporary: true },
  });
  await muster.store.runs.updateOne({ _id }, { $set: { state: 'planned' } });
  const learner = await muster.learner('901');
  expect((await eraseLearner(muster.context, places(), { learner, by })).waitsFor).toEqual([_id]);
  expect(readFileSync(copy.path, 'utf8')).toBe(file(...OTHERS));
  await cancelRun(muster.context, _id, by);
  expect(await continueErasures(muster.context, places())).toBe(0);
});

describe('Privacy: beside a check of everything', () => {
  const add = async (...names: readonly string[]) => {
    const rows = names.map((name) => `${name},${name}@zzqq.example,Joe,${name}Joe,A,sector-a`);
    await muster.import(file(...OTHERS, ...rows), { approve: true });
    await sealAll();
    return Promise.all(names.map((name) => muster.learner(name)));
  };

  test('an erasure that comes between two reads of it is no break of the chain', async () => {
    const [learner] = await add('b1', 'b2');
    const { audit } = muster.store;
    let erased = 0;
    const between = new Proxy(audit, {
      get: (target, key) => {
        if (key !== 'find') return Reflect.get(target, key).bind?.(target) ?? Reflect.get(target, key);
        return (filter: { content?: unknown }, options?: object) => {
          const found = target.find(filter as never, options);
          if (!filter.content || erased > 0) return found;
          return {
            sort: async function* (order: object) {
              erased += 1;
              await eraseLearner(muster.context, places(), { learner: learner as LearnerId, by });
              yield* found.sort(order as never);
            },
          };
        };
      },
    });
    const { audit: chain } = await verify(
      { ...muster.context, store: { ...muster.store, audit: between } },
      { repair: false },
    );
    expect(erased).toBe(1);
    expect(chain.breaks).toEqual([]);
  });

  test('an erasure that comes between a learner and the subscriptions is no difference', async () => {
    const [learner] = await add('c1');
    const { learners } = muster.store;
    const between = new Proxy(learners, {
      get: (target, key) => {
        if (key !== 'find') return Reflect.get(target, key).bind?.(target) ?? Reflect.get(target, key);
        return (filter: object = {}, options?: object) => {
          const found = target.find(filter, options);
          if (Object.keys(filter).length > 0) return found;
          return {
            sort: async function* (order: object) {
              yield* found.sort(order as never);
              await eraseLearner(muster.context, places(), { learner: learner as LearnerId, by });
            },
          };
        };
      },
    });
    const { drift } = await verify(
      { ...muster.context, store: { ...muster.store, learners: between } },
      { repair: false },
    );
    expect(drift).toEqual([]);
    expect(await learners.findOne({ _id: learner as LearnerId })).toBeNull();
  });

  test('erasures from one plan add up in the order of their writing, whatever their clocks say', async () => {
    const people = await add('d1', 'd2', 'd3');
    // Nobody seals between.
    await muster.stopWorkers();
    for (const learner of people) {
      await eraseLearner(muster.context, places(), { learner, by });
      muster.clock.forward(-60_000);
    }
    expect((await chain()).breaks).toEqual([]);
    const batch = await muster.store.batches.findOne({ 'changes.learner': people[0] } as never);
    await muster.store.batches.updateOne({ _id: batch?._id as never }, { $set: { 'changes.0.revision': 99 } });
    expect((await chain()).breaks).toMatchObject([{ what: 'batch' }]);
    await muster.store.batches.replaceOne({ _id: batch?._id as never }, batch as never);
    expect((await chain()).breaks).toEqual([]);
    await muster.startWorkers();
  });
});

describe('Privacy: feed files below MUSTER_DATA', () => {
  const rows = (...more: string[]) => ['EmployeeID,Mail,Groups', '001,p1@x.org,sector-a', ...more, ''].join('\n');
  const inbox = (...names: string[]) => join(places().data, 'inbox', ...names);
  const person = async (n: number) => {
    await muster.import(file(...OTHERS, `${n},p${n}@zzqq.example,Dirqqx,Zoeqqx,A,sector-a`), { approve: true });
    return { learner: await muster.learner(`${n}`), row: `${n},p${n}@zzqq.example,sector-a` };
  };

  test('keep their time and their rights: the newest of a directory is the newest still', async () => {
    const { learner, row } = await person(910);
    const source = { kind: 'directory', path: 'data/inbox/dir', pattern: '*' } as const;
    await muster.feed(
      'name: dir\nsource: { directory: data/inbox/dir, pattern: "*" }\nlearner: { externalId: EmployeeID, email: Mail }\ngroups: [{ column: Groups }]\n',
    );
    mkdirSync(inbox('dir'));
    for (const [name, text, mtime] of [
      ['hr-1.csv', rows(row), 1_700_000_000],
      ['hr-2.csv', rows(), 1_700_000_900],
    ] as const) {
      writeFileSync(inbox('dir', name), text, { mode: 0o640 });
      utimesSync(inbox('dir', name), mtime, mtime);
    }
    const before = statSync(inbox('dir', 'hr-1.csv'));
    await eraseLearner(muster.context, places(), { learner, by });
    expect(readFileSync(inbox('dir', 'hr-1.csv'), 'utf8')).toBe(rows());
    const { mtimeMs, mode, uid } = statSync(inbox('dir', 'hr-1.csv'));
    expect({ mtimeMs, mode, uid }).toEqual({ mtimeMs: before.mtimeMs, mode: before.mode, uid: before.uid });
    writeFileSync(inbox('dir', '.hr-1.csv.redacted'), 'left behind by a killed process');
    expect((await locate(source, muster.directory)).name).toBe('hr-2.csv');
  });

  test('that are being read are done later, and the erasure ends no sooner', async () => {
    const { learner, row } = await person(911);
    writeFileSync(inbox('more.csv'), rows(row));
    // Made after the erasure, so that its plan is not waited for.
    const late = new Date('2100-01-01');
    const reading = { state: 'reading', createdAt: late, finishedAt: null } as const;
    const lease = { owner: 'x', host: 'another', pid: 1, until: late };
    const other = (await muster.store.runs.findOne({ kind: 'feed' })) as RunDoc;
    const _id = 'r99998' as RunId;
    await muster.store.runs.insertOne({ ...other, _id, feed: 'inbox', preview: true, ...reading, lease });
    await eraseLearner(muster.context, places(), { learner, by });
    expect(await continueErasures(muster.context, places())).toBe(1);
    expect(readFileSync(inbox('more.csv'), 'utf8')).toBe(rows(row));
    await muster.store.runs.updateOne({ _id }, { $set: { state: 'failed', finishedAt: late } });
    expect(await continueErasures(muster.context, places())).toBe(0);
    expect(readFileSync(inbox('more.csv'), 'utf8')).toBe(rows());
  });

  test('are found behind a link too: runs name their copies as MUSTER_DATA was named', async () => {
    const { learner, row } = await person(912);
    const link = join(muster.directory, 'linked');
    symlinkSync(places().data, link);
    const copy = await spool(Readable.from([rows(row)]), join(link, 'uploads', 'host_1'), 'hr.csv');
    const source = { name: 'hr.csv', path: copy.path, bytes: copy.bytes, temporary: true };
    const asked = { feed: 'inbox', mode: 'full', preview: false, approve: false, by: 'test', source } as const;
    const { _id } = await requestRun(muster.context, asked);
    await muster.store.runs.updateOne({ _id }, { $set: { state: 'held' } });
    await eraseLearner(muster.context, { ...places(), data: link }, { learner, by });
    expect(readFileSync(copy.path, 'utf8')).toBe(rows());
  });
});
