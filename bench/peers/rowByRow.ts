import { createReadStream } from 'node:fs';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import mongoose, { Schema } from 'mongoose';
import Papa from 'papaparse';
import type { Cast } from '../cast.ts';
import { databaseUri } from '../cast.ts';
import { peakMemory } from '../measure.ts';
import type { Answer } from '../tasks.ts';

const LearnerShape = new Schema({
  externalId: { type: String, required: true, unique: true },
  email: String,
  firstName: String,
  lastName: String,
  status: String,
  department: String,
  function: String,
  groups: { type: [String], index: true },
  lastSeen: Date,
});
const SubscriptionShape = new Schema({ learner: String, course: String, status: String });
SubscriptionShape.index({ learner: 1, course: 1 }, { unique: true });

type Row = Record<string, string>;

/**
 * Peer: an importer as an ordinary engineer writes it. papaparse streams the file; each row is an upsert by External ID
 * through a mongoose model; each membership that came or went is a BullMQ job, which upserts or expires the
 * subscriptions of that group's courses. It is written well: indexes, atomic upserts, 100 rows at a time in flight,
 * ten jobs at once, groups and courses in memory. Only the first `sample` rows are imported, on top of the same rows of
 * the night before, which are loaded in bulk and not counted; `times` says by what that is to be multiplied.
 * A small collection is quicker than the whole one, which favours the peer.
 */
export async function rowByRow(
  cast: Cast,
  {
    before,
    after,
    rows,
    sample,
    database,
  }: { before: string; after: string; rows: number; sample: number; database: string },
): Promise<Answer> {
  const { mongodbUri, redisUrl } = cast.surroundings;
  const connection = await mongoose.createConnection(databaseUri(mongodbUri, database)).asPromise();
  const Learner = connection.model('Learner', LearnerShape);
  const Subscription = connection.model('Subscription', SubscriptionShape);
  await connection.dropDatabase();
  await Promise.all([Learner.init(), Subscription.init(), Learner.createIndexes(), Subscription.createIndexes()]);
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue('memberships', { connection: redis, prefix: database });
  await queue.obliterate({ force: true });

  const yesterday: Row[] = [];
  await eachRow(before, sample, async (row) => void yesterday.push(row));
  await Learner.insertMany(
    yesterday.map((row) => ({ externalId: row.EmployeeID, ...fieldsOf(row) })),
    { lean: true, ordered: false },
  ).catch(() => undefined);

  const meter = cast.meter();
  await meter.time(async () => {
    let added = 0;
    let done = 0;
    let finished = false;
    let drained: () => void = () => undefined;
    const empty = new Promise<void>((resolve) => {
      drained = resolve;
    });
    const check = () => {
      if (finished && done === added) drained();
    };
    const worker = new Worker(
      'memberships',
      async ({ data }) => {
        const { learner, group, added: joined } = data as { learner: string; group: string; added: boolean };
        const course = `course of ${group}`;
        if (joined) await Subscription.findOneAndUpdate({ learner, course }, { status: 'active' }, { upsert: true });
        else await Subscription.updateOne({ learner, course }, { status: 'expired' });
      },
      { connection: redis, prefix: database, concurrency: 10 },
    );
    worker.on('completed', () => {
      done += 1;
      check();
    });
    await eachRow(after, sample, async (row) => {
      if (!row.EmployeeID) return;
      const fields = fieldsOf(row);
      const old = await Learner.findOneAndUpdate(
        { externalId: row.EmployeeID },
        { ...fields, lastSeen: new Date() },
        { upsert: true },
      );
      const had = new Set<string>(old?.groups ?? []);
      const has = new Set(fields.groups);
      for (const group of has) {
        if (had.has(group)) continue;
        added += 1;
        await queue.add('membership', { learner: row.EmployeeID, group, added: true }, { removeOnComplete: true });
      }
      for (const group of had) {
        if (has.has(group)) continue;
        added += 1;
        await queue.add('membership', { learner: row.EmployeeID, group, added: false }, { removeOnComplete: true });
      }
    });
    finished = true;
    check();
    await empty;
    await worker.close();
  });
  await queue.close();
  redis.disconnect();
  await connection.dropDatabase();
  await connection.close();
  return { ...meter.cost, peak: peakMemory(), times: rows / sample, figures: { sample } };
}

function fieldsOf(row: Row) {
  const leaves = row.Status === 'T';
  const groups = leaves ? [] : [`dept-${row.Department}`, ...(row.Location ?? '').split(';').filter(Boolean)];
  const { Mail: email, FirstName: firstName, LastName: lastName, Department: department, Function } = row;
  return { email, firstName, lastName, status: leaves ? 'inactive' : 'active', department, function: Function, groups };
}

/** Hands out the first `most` rows, at most 100 of them in flight. */
async function eachRow(file: string, most: number, handle: (row: Row) => Promise<void>): Promise<void> {
  const stream = createReadStream(file).pipe(Papa.parse(Papa.NODE_STREAM_INPUT, { header: true }));
  let flight: Promise<void>[] = [];
  let rows = 0;
  for await (const row of stream) {
    rows += 1;
    flight.push(handle(row as Row));
    if (flight.length === 100) {
      await Promise.all(flight);
      flight = [];
    }
    if (rows === most) break;
  }
  await Promise.all(flight);
}
