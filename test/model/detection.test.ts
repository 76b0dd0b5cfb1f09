import * as fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import type { Change } from '../../src/domain/change.ts';
import type { GroupId, LearnerId } from '../../src/domain/ids.ts';
import { openFeed } from '../../src/feed/reader.ts';
import { sourceFile } from '../../src/feed/sources/file.ts';
import { Addresses } from '../../src/run/addresses.ts';
import { contestedEmails } from '../../src/run/emails.ts';
import { loadTable } from '../../src/run/loadTable.ts';
import { blankRun } from '../../src/run/manual.ts';
import { addMembers, removeMembers } from '../../src/run/memberships.ts';
import { planRun } from '../../src/run/planRun.ts';
import { readClaims } from '../../src/run/read.ts';
import { attemptOf } from '../../src/run/start.ts';
import { policyOf } from '../../src/settings/feed.ts';
import { newRunId } from '../../src/store/counters.ts';
import { readFeedDoc, settingsOf } from '../../src/store/feeds.ts';
import { externalIdsOf, learnerIdsByExternalId, learnersHeldBy, learnersToLookAt } from '../../src/store/learners.ts';
import type { FeedDoc } from '../../src/store/models.ts';
import { readStructure } from '../../src/store/structure.ts';
import { COMPANY, useMuster } from '../harness.ts';
import { parameters, TIMEOUT, within } from './budget.ts';

const muster = useMuster();
let feeds = 0;

beforeAll(() => muster.structure(COMPANY));

/** One row of the file: what it says, and how it is written. */
interface Line {
  readonly who: number;
  readonly mail: string;
  readonly name: string;
  readonly left: boolean;
  readonly groups: readonly string[];
  readonly remark: string;
  readonly quoted: boolean;
  readonly end: '\n' | '\r\n';
  /** The row breaks off behind so many cells. */
  readonly cut: number | null;
}

type Edit =
  | { readonly kind: 'delete'; readonly at: number }
  | { readonly kind: 'repeat'; readonly at: number }
  | { readonly kind: 'blank'; readonly at: number }
  | { readonly kind: 'move'; readonly at: number; readonly to: number }
  | { readonly kind: 'put'; readonly at: number; readonly line: Line }
  | { readonly kind: 'change'; readonly at: number; readonly part: Partial<Line> }
  | { readonly kind: 'byHand'; readonly who: number; readonly add: boolean };

const parts = {
  who: fc.integer({ min: 1, max: 8 }),
  mail: fc.constantFrom('', '', '1@x.org', '2@x.org', '3@x.org', 'A@x.org', 'a@x.org'),
  name: fc.constantFrom('Ann', 'Ünal', 'O"Neil', 'Two\nlines', 'With, comma', '', 'Two\r\nlines'),
  left: fc.integer({ min: 0, max: 6 }).map((one) => one === 0),
  groups: fc.oneof(
    { weight: 8, arbitrary: fc.shuffledSubarray(['sector-a', 'sector-b', 'lone']) },
    { weight: 1, arbitrary: fc.constant(['nowhere', 'lone']) },
  ),
  remark: fc.constantFrom('', 'x', 'y\nz', 'a, b', '"'),
  quoted: fc.boolean(),
  end: fc.constantFrom('\n' as const, '\r\n' as const),
  cut: fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 5 }) }),
};
const anyLine: fc.Arbitrary<Line> = fc.record(parts);
const at = fc.nat(20);
const anyEdit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constant('delete' as const), at }),
  fc.record({ kind: fc.constant('repeat' as const), at }),
  fc.record({ kind: fc.constant('blank' as const), at }),
  fc.record({ kind: fc.constant('move' as const), at, to: at }),
  fc.record({ kind: fc.constant('put' as const), at, line: anyLine }),
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('change' as const), at, part: fc.record(parts, { requiredKeys: [] }) }),
  },
  fc.record({ kind: fc.constant('byHand' as const), who: parts.who, add: fc.boolean() }),
);

function edited(lines: readonly (Line | null)[], edit: Edit): (Line | null)[] {
  if (edit.kind === 'byHand') return [...lines];
  const next = [...lines];
  const index = lines.length === 0 ? 0 : edit.at % lines.length;
  const line = lines[index] ?? null;
  if (edit.kind === 'delete') next.splice(index, 1);
  else if (edit.kind === 'repeat') next.push(line);
  else if (edit.kind === 'blank') next.splice(index, 0, null);
  else if (edit.kind === 'put') next.splice(index, 0, edit.line);
  else if (edit.kind === 'move') next.splice(edit.to % lines.length, 0, ...next.splice(index, 1));
  else if (edit.kind === 'change' && line) next[index] = { ...line, ...edit.part };
  return next;
}

function written(lines: readonly (Line | null)[], prefix: string): string {
  return lines.reduce(
    (text, line) => text + (line ? writtenLine(line, prefix) : '\n'),
    'EmployeeID,Mail,FirstName,Status,Groups,Remark\n',
  );
}

function writtenLine({ who, mail, name, left, groups, remark, quoted, end, cut }: Line, prefix: string): string {
  const address = mail && `${prefix}${mail}`;
  const cells = [`${prefix}${who}`, address, name, left ? 'T' : 'A', groups.join(';'), remark].slice(0, cut ?? 6);
  const quote = (cell: string) => (quoted || /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  return `${cells.map(quote).join(',')}${end}`;
}

/** Crowded: with more new rows than may be held in memory. */
type Path = 'fast' | 'fast, crowded' | 'plain' | 'plain, crowded';

/** What a run of the file would change, learner by learner, and what it would reject; nothing is applied. */
async function planOf(name: string, text: string, path: Path) {
  const { store, clock } = muster;
  const file = await sourceFile(muster.file(text));
  const feed = (await readFeedDoc(store, name)) as FeedDoc;
  const settings = settingsOf(feed);
  const policy = policyOf(settings);
  const structure = await readStructure(store);
  const addresses = new Addresses(store);
  const lookAgain = await learnersToLookAt(store, { feed: name, authority: 'feed' });
  const applied = feed.applied as NonNullable<FeedDoc['applied']>;
  const known = path.startsWith('fast') ? await loadTable(store, applied) : undefined;
  const reading = await readClaims({
    reader: await openFeed(file, settings),
    policy,
    structure,
    hashKey: Buffer.from(applied.hashKey, 'hex'),
    known,
    lookAgain,
    idsOf: (ids) => addresses.idsOf(ids),
    namesOf: (ids) => externalIdsOf(store, ids),
    contested: (claims) => contestedEmails(addresses, claims, policy.match),
    ...(path.endsWith('crowded') && { held: 2 }),
    newGroupIds: async (count) => Array.from({ length: count }, (_, one) => (9_000_000 + one) as GroupId),
  });
  const candidates = new Set<LearnerId>(known ? [...reading.lost, ...lookAgain] : []);
  if (!known) for await (const id of learnersHeldBy(store, name)) candidates.add(id);
  let nextId = 8_000_000;
  const run = { ...blankRun(await newRunId(store), 'feed', 'test', name, clock.now()), attempt: 1 };
  const plan = await planRun({
    store,
    addresses,
    run,
    feed,
    policy,
    structure,
    reading,
    candidates,
    windowOption: () => 'expire',
    newLearnerIds: async (count) => {
      nextId += count;
      return nextId - count;
    },
    now: clock.now(),
  });
  const batches = await store.batches.find({ _id: attemptOf(run) }).toArray();
  await store.batches.deleteMany({ _id: attemptOf(run) });
  const changes = batches.flatMap((batch) => batch.changes).map(said);
  const { rows, learners, memberships } = plan.outcome;
  return {
    changes: changes.sort(([a], [b]) => (a < b ? -1 : 1)),
    rejected: plan.rejections.map(({ row }) => row).sort((a, b) => a - b),
    figures: { rows, learners, memberships },
  };
}

function said({ learner, ...change }: Change): [string, unknown] {
  return [change.create?.externalId ?? `id:${learner}`, change];
}

test(
  'R17: change detection plans what reading every row plans, night after night',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyLine, { minLength: 1, maxLength: 12 }),
        fc.array(fc.array(anyEdit, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 }),
        within(15_000, async (first, nights) => {
          feeds += 1;
          const name = `night-${feeds}`;
          const prefix = `n${feeds}-`;
          await muster.feed(
            `name: ${name}\nlearner: { externalId: EmployeeID, email: Mail, firstName: FirstName, status: { column: Status, active: [A], left: [T] } }\ngroups: [{ column: Groups, separator: ";" }]`,
          );
          // The last row has no cell missing: a file that ends within a row is refused as a whole (R16).
          const file = (lines: readonly (Line | null)[]) => written(lines, prefix) + writtenLine(LAST, prefix);
          let lines: (Line | null)[] = first;
          expect(await muster.import(file(lines), { feed: name, approve: true })).toMatchObject({ state: 'completed' });
          for (const edits of nights) {
            for (const edit of edits) {
              lines = edited(lines, edit);
              if (edit.kind === 'byHand') await byHand(`${prefix}${edit.who}`, edit.add);
            }
            const fast = await planOf(name, file(lines), 'fast');
            expect(fast).toEqual(await planOf(name, file(lines), 'plain'));
            const crowded = feeds % 2 === 0 ? 'fast, crowded' : 'plain, crowded';
            expect(fast).toEqual(await planOf(name, file(lines), crowded));
            expect(await muster.import(file(lines), { feed: name, approve: true })).toMatchObject({
              state: 'completed',
              setAside: 0,
            });
          }
        }),
      ),
      parameters,
    );
  },
  TIMEOUT,
);

const LAST: Line = {
  who: 9,
  mail: '',
  name: 'Zoë',
  left: false,
  groups: [],
  remark: '',
  quoted: false,
  end: '\n',
  cut: null,
};

async function byHand(externalId: string, add: boolean): Promise<void> {
  const { context: services } = muster;
  const id = (await learnerIdsByExternalId(muster.store, [externalId as never])).get(externalId as never);
  if (id === undefined) return;
  const group = await muster.group('sector-a');
  if (add) await addMembers(services, { group, learners: [id], by: 'test' });
  else await removeMembers(services, { group, learners: [id], courses: 'expire', by: 'test' });
}
