import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digest } from '../../../src/run/digest.ts';
import { recordProgress } from '../../../src/run/progress.ts';
import { importStructure } from '../../../src/run/structureChange.ts';
import { readFeedFile } from '../../../src/settings/feed.ts';
import { saveFeed } from '../../../src/store/feeds.ts';
import type { Store } from '../../../src/store/store.ts';
import { readCourses } from '../../../src/store/structure.ts';
import { Engine, type EngineOptions } from './engine.ts';
import { FEED, night, STRUCTURE } from './nights.ts';

export type Night = 1 | 2;
type Documents = ReadonlyMap<string, readonly { _id: unknown }[]>;

/** What is compared with the undisturbed run. */
export type Facts = Awaited<ReturnType<typeof factsOf>>;

/** A database and a Redis prefix, set back to the evening before either night as often as needed, and what is true after it. */
export class World {
  readonly engine: Engine;
  readonly options: EngineOptions;
  readonly directory: string;
  readonly #evenings = new Map<Night, Documents>();
  readonly #undisturbed = new Map<Night, Facts>();
  #resets = 0;

  private constructor(engine: Engine, options: EngineOptions) {
    this.engine = engine;
    this.options = options;
    this.directory = mkdtempSync(join(tmpdir(), 'muster-faults-'));
  }

  /** `learners`: how many the nights have. */
  static async open(options: EngineOptions, { learners }: { learners?: number } = {}): Promise<World> {
    const world = new World(await Engine.open({ lock: 400, ...options }), options);
    await world.#prepare(learners);
    return world;
  }

  path(which: Night): string {
    return join(this.directory, `night-${which}.csv`);
  }

  /** Both nights without a fault. */
  async #prepare(learners: number | undefined): Promise<void> {
    const { engine } = this;
    const { store, context } = engine;
    for (const which of [1, 2] as const) writeFileSync(this.path(which), night(which, learners));
    await importStructure(context, { ...STRUCTURE, by: 'test' });
    await saveFeed(store, FEED, readFeedFile(FEED, 'hr.yaml'), 'database');
    for (const which of [1, 2] as const) {
      this.#evenings.set(which, await documentsOf(store));
      const run = await engine.import(this.path(which));
      if (run.state !== 'completed') throw new Error(`The undisturbed night ${which} is ${run.state}.`);
      await engine.recover();
      this.#undisturbed.set(which, await factsOf(store));
      if (which === 1) await this.#studies();
    }
    await engine.rest();
  }

  /** Results for everybody in every course, so that a purge has something to take away. */
  async #studies(): Promise<void> {
    const { store, context } = this.engine;
    for (const { _id, items } of await store.subscriptions.find().limit(60).toArray()) {
      for (const { course } of items) await recordProgress(context, { learner: _id, course, completion: _id % 101 });
    }
  }

  /** Back to the evening before. Ids of documents, counters and feeds are as they were then. */
  async reset(which: Night): Promise<void> {
    const { store, queues } = this.engine;
    await this.engine.rest();
    this.#resets += 1;
    const db = store.connection.db as NonNullable<typeof store.connection.db>;
    const evening = this.#evenings.get(which) as Documents;
    await Promise.all(
      [...evening].map(async ([name, documents]) => {
        await db.collection(name).deleteMany({});
        if (documents.length > 0) await db.collection(name).insertMany(documents as never);
      }),
    );
    // The store keeps the compiled structure by its revision: what another point compiled must not be taken for this one's.
    await store.meta.updateOne({ _id: 'structure' }, { $inc: { revision: 1000 * this.#resets } });
    const keys = await queues.redis.keys(`${queues.prefix}:*`);
    if (keys.length > 0) await queues.redis.del(...keys);
  }

  undisturbed(which: Night): Facts {
    return this.#undisturbed.get(which) as Facts;
  }

  /**
   * Goes on to the end as the next process does (sweep and workers; then the same import again, until it finds nothing to do),
   * and gives the facts. @throws where the import finds something to do more than once.
   */
  async goOn(which: Night): Promise<Facts> {
    const { engine } = this;
    await engine.recover();
    for (let imports = 0; ; imports += 1) {
      const run = await engine.import(this.path(which));
      // A run whose writing was not known to have come about may be seen only now: it is taken up like any other.
      await engine.recover();
      const facts = await factsOf(engine.store, run._id);
      if ((run.outcome as { noChange?: boolean } | undefined)?.noChange) return facts;
      if (imports > 0) throw new Error(`Importing the file again found something to do (${run.state}).`);
    }
  }

  async close(): Promise<void> {
    await this.engine.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function documentsOf(store: Store): Promise<Documents> {
  const found = new Map<string, { _id: unknown }[]>();
  const db = store.connection.db as NonNullable<typeof store.connection.db>;
  for (const { name } of await db.listCollections().toArray()) {
    found.set(name, await db.collection(name).find().toArray());
  }
  return found;
}

/**
 * The oracle: digest, what waits, what the audit says of each learner, what was purged, what the feed holds. No ids:
 * numbers that a killed process reserved are skipped. `apart`: a run that is not looked at.
 */
export async function factsOf(store: Store, apart?: string) {
  const learners = await store.learners.find({}, { projection: { externalId: 1 } }).toArray();
  const names = new Map(learners.map(({ _id, externalId }) => [_id, externalId ?? `id:${_id}`]));
  const courses = await readCourses(store);
  const courseOf = (id: number) => courses.get(id as never)?.externalId;
  const audited: string[] = [];
  for (const { _id, learners, events = [], why } of await store.audit.find().toArray()) {
    if (events.length === 0) audited.push(...learners.map((learner) => `${why} ${_id.step} ${names.get(learner)}`));
    for (const one of events) {
      audited.push(
        ...one.events.map(({ kind, course }) => `${why} ${names.get(one.learner)} ${kind} ${courseOf(course)}`),
      );
    }
  }
  const purged = await store.purged.find().toArray();
  const [feed] = await store.feeds.find().toArray();
  const runs = await store.runs.find({ kind: 'feed', _id: { $ne: apart as never } }).toArray();
  const tables = await store.tables.find({}, { projection: { _id: 1 } }).toArray();
  return {
    digest: await digest(store),
    outbox: await store.outbox.countDocuments(),
    setAside: await store.setAside.countDocuments(),
    audited: audited.sort(),
    purged: purged
      .map(
        ({ _id, subscription, progress }) =>
          `${names.get(_id.learner)} ${courseOf(_id.course)} ${subscription?.status} ${progress?.completion}`,
      )
      .sort(),
    held: feed?.held,
    rows: feed?.applied?.rows,
    again: feed?.applied?.again,
    /** Parts of packed tables that no feed points to. */
    strayTables: tables.filter(({ _id }) => _id.table !== feed?.applied?.table).length,
    /** Runs that are neither completed nor without news. */
    working: runs.filter(({ state }) => state !== 'completed').map(({ state, error }) => ({ state, error })),
    changing: runs.filter(({ outcome }) => !(outcome as { noChange?: boolean } | undefined)?.noChange).length,
  };
}
