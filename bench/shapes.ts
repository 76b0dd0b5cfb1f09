/**
 * The shapes in which memberships and subscriptions could be stored, side by side: embedded (one document a learner
 * for each of the two) and apart (a document for each membership and subscription, with a compound `_id`):
 * npx tsx bench/shapes.ts --learners 20000 --runs 3
 */
import { parseArgs } from 'node:util';
import mongoose from 'mongoose';
import { type Cost, Meter, median } from './measure.ts';
import { startServers } from './servers.ts';

const { values } = parseArgs({
  options: { learners: { type: 'string', default: '20000' }, runs: { type: 'string', default: '3' } },
});
const learners = Number(values.learners);
const AT_ONCE = 500;
const COURSES = 4;

type Work = (session: mongoose.mongo.ClientSession, ids: readonly number[]) => Promise<unknown>;
interface Shape {
  readonly indexes: readonly [collection: string, index: Record<string, 1>][];
  readonly insert: Work;
  /** Everybody moves from the second group to another, and loses one course for another. */
  readonly move: Work;
  /** Groups and courses of everybody, as a settlement reads them. */
  readonly read: Work;
}

const { surroundings, stop } = await startServers();
const connection = await mongoose.createConnection(surroundings.mongodbUri).asPromise();
const db = connection.db as mongoose.mongo.Db;
const since = new Date();
const groupsOf = (id: number) => [id % 997, 1_000 + (id % 211)] as const;
const coursesOf = (id: number) => Array.from({ length: COURSES }, (_, at) => at * 100 + (id % 37));
const into = (id: number) => 2_000 + (id % 211);
const person = (id: number) => ({ _id: id as never, externalId: `E${id}`, email: `e${id}@example.org`, revision: 1 });

const shapes: Record<string, Shape> = {
  embedded: {
    indexes: [
      ['learners', { 'memberships.group': 1 }],
      ['subscriptions', { 'items.course': 1, 'items.status': 1 }],
    ],
    async insert(session, ids) {
      const memberships = (id: number) => groupsOf(id).map((group) => ({ group, sources: [{ source: 'hr' }] }));
      const items = (id: number) => coursesOf(id).map((course) => ({ course, status: 'active', direct: false, since }));
      await db.collection('learners').insertMany(
        ids.map((id) => ({ ...person(id), memberships: memberships(id) })),
        { session },
      );
      await db.collection('subscriptions').insertMany(
        ids.map((id) => ({ _id: id as never, revision: 1, items: items(id) })),
        { session },
      );
    },
    async move(session, ids) {
      const group = (id: number) => ({ 'memberships.1.group': into(id), revision: 2 });
      await db.collection('learners').bulkWrite(
        ids.map((id) => ({ updateOne: { filter: { _id: id as never }, update: { $set: group(id) } } })),
        { session },
      );
      const items = (id: number) => [
        ...coursesOf(id).map((course, at) => ({
          course,
          status: at === 0 ? 'expired' : 'active',
          direct: false,
          since,
        })),
        { course: 900 + (id % 37), status: 'active', direct: false, since },
      ];
      const docs = ids.map((id) => ({
        replaceOne: { filter: { _id: id as never }, replacement: { revision: 2, items: items(id) } },
      }));
      await db.collection('subscriptions').bulkWrite(docs, { session });
    },
    async read(session, ids) {
      const filter = { _id: { $in: ids as never[] } };
      await db.collection('learners').find(filter, { session, batchSize: 10_000 }).toArray();
      await db.collection('subscriptions').find(filter, { session, batchSize: 10_000 }).toArray();
    },
  },
  apart: {
    indexes: [
      ['memberships', { '_id.group': 1 }],
      ['subscriptions', { '_id.course': 1, status: 1 }],
    ],
    async insert(session, ids) {
      const memberships = ids.flatMap((id) =>
        groupsOf(id).map((group) => ({ _id: { learner: id, group } as never, sources: [{ source: 'hr' }] })),
      );
      const items = ids.flatMap((id) =>
        coursesOf(id).map((course) => ({
          _id: { learner: id, course } as never,
          status: 'active',
          direct: false,
          since,
          revision: 1,
        })),
      );
      await db.collection('learners').insertMany(ids.map(person), { session });
      await db.collection('memberships').insertMany(memberships, { session });
      await db.collection('subscriptions').insertMany(items, { session });
    },
    async move(session, ids) {
      const moved = ids.flatMap((id) => [
        { deleteOne: { filter: { _id: { learner: id, group: groupsOf(id)[1] } as never } } },
        { insertOne: { document: { _id: { learner: id, group: into(id) } as never, sources: [{ source: 'hr' }] } } },
      ]);
      await db.collection('memberships').bulkWrite(moved, { session });
      const items = ids.flatMap((id) => [
        {
          updateOne: {
            filter: { _id: { learner: id, course: id % 37 } as never },
            update: { $set: { status: 'expired', since, revision: 2 } },
          },
        },
        {
          insertOne: {
            document: {
              _id: { learner: id, course: 900 + (id % 37) } as never,
              status: 'active',
              direct: false,
              since,
              revision: 1,
            },
          },
        },
      ]);
      await db.collection('subscriptions').bulkWrite(items, { session });
    },
    async read(session, ids) {
      const range = {
        _id: { $gte: { learner: ids[0] } as never, $lt: { learner: (ids.at(-1) as number) + 1 } as never },
      };
      await db
        .collection('learners')
        .find({ _id: { $in: ids as never[] } }, { session, batchSize: 10_000 })
        .toArray();
      await db.collection('memberships').find(range, { session, batchSize: 10_000 }).toArray();
      await db.collection('subscriptions').find(range, { session, batchSize: 10_000 }).toArray();
    },
  },
};

async function all(work: Work): Promise<Cost> {
  const meter = new Meter(surroundings.pids);
  await meter.time(async () => {
    for (let from = 1; from <= learners; from += AT_ONCE) {
      const ids = Array.from({ length: Math.min(AT_ONCE, learners + 1 - from) }, (_, at) => from + at);
      await connection.transaction((session) => work(session, ids));
    }
  });
  return meter.cost;
}

const costs = new Map<string, Cost[]>();
for (let run = 0; run <= Number(values.runs); run += 1) {
  for (const [name, { indexes, ...works }] of Object.entries(shapes)) {
    await db.dropDatabase();
    for (const collection of ['learners', 'memberships', 'subscriptions']) await db.createCollection(collection);
    await db.collection('learners').createIndex({ externalId: 1 }, { unique: true });
    await db.collection('learners').createIndex({ email: 1 }, { unique: true });
    for (const [collection, index] of indexes) await db.collection(collection).createIndex(index);
    for (const [what, work] of Object.entries(works)) {
      const cost = await all(work);
      if (run > 0) costs.set(`${what}, ${name}`, [...(costs.get(`${what}, ${name}`) ?? []), cost]);
    }
    const stats = await db.stats();
    if (run > 0)
      console.log(
        `${name}: ${(stats.dataSize / learners).toFixed(0)} bytes a learner, ${(stats.indexSize / learners).toFixed(0)} of indexes`,
      );
  }
}
await connection.close();
await stop();

console.log(
  `${learners} learners, 2 groups and ${COURSES} courses each, in transactions of ${AT_ONCE}; medians, microseconds a learner`,
);
for (const [name, list] of [...costs].sort(([a], [b]) => (a < b ? -1 : 1))) {
  const each = (pick: (cost: Cost) => number) => ((median(list.map(pick)) / learners) * 1e6).toFixed(1).padStart(8);
  console.log(
    `${name.padEnd(20)} wall ${each(({ wall }) => wall)}   node ${each(({ node }) => node)}   mongod ${each(({ mongod }) => mongod)}`,
  );
}
