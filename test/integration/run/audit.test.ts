import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ExternalId, LearnerId } from '../../../src/domain/ids.ts';
import { grantCourse } from '../../../src/run/grants.ts';
import { addMembers, editLearner, moveLearner, removeMembers } from '../../../src/run/memberships.ts';
import { addCourse, editGroup, type GroupEdit, linkCourses, unlinkCourses } from '../../../src/run/structureChange.ts';
import { createSubenvironment } from '../../../src/run/subenvironments.ts';
import { verify } from '../../../src/run/verify.ts';
import { membersAt, viewLearnerAt } from '../../../src/run/views/asOf.ts';
import { type AuditView, exportAudit } from '../../../src/run/views/auditExport.ts';
import { historyOf } from '../../../src/run/views/historyView.ts';
import { readSurroundings, viewLearners } from '../../../src/run/views/learnerView.ts';
import { whyCourse } from '../../../src/run/why.ts';
import { sealAudit } from '../../../src/store/auditChain.ts';
import { learnersById } from '../../../src/store/learners.ts';
import type { AuditDoc } from '../../../src/store/models.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups';
const by = 'ann';
let learner: LearnerId;

const hour = () => muster.clock.forward(3_600_000);

async function sealAll(): Promise<void> {
  while ((await sealAudit(muster.store)) > 0);
}

beforeAll(async () => {
  await muster.structure(COMPANY);
  await muster.feed(HR);
  hour();
  await muster.import(`${HEADER}\n001,p1@x.org,Ann,Arbor,A,sector-a\n002,p2@x.org,Bob,Berg,A,sector-b\n`);
  learner = await muster.learner('001');
});

describe('R28: the audit answers', () => {
  test('why a learner has a course: the link, the groups on the way, and the row or person at its root', async () => {
    const why = await whyCourse(muster.context, learner, await muster.course('welcome'));
    expect(why).toMatchObject({
      learner: '001',
      course: 'welcome',
      subscription: { status: 'active', direct: false },
      last: { event: 'subscribed', why: 'hr', by: 'test' },
      groups: [
        {
          path: ['sector-a', 'all'],
          link: { why: 'groups import', by: 'test' },
          sources: [{ source: 'hr', open: true, since: { why: 'hr', by: 'test', rows: [2] } }],
        },
      ],
      grant: null,
    });
  });

  test('why a learner has a course by direct grant, and why one is not there', async () => {
    hour();
    const sales = await muster.course('sales');
    const { run } = await grantCourse(muster.context, { course: sales, learners: [learner], by });
    expect(await whyCourse(muster.context, learner, sales)).toMatchObject({
      subscription: { status: 'active', direct: true },
      groups: [],
      grant: { by, why: 'courses grant', run },
    });
    expect(await whyCourse(muster.context, await muster.learner('002'), await muster.course('welcome'))).toMatchObject({
      groups: [{ path: ['sector-b', 'all'] }],
    });
  });

  test('what happened to a learner, in order: who, when, why, before and after', async () => {
    hour();
    const at = muster.clock.now();
    await editLearner(muster.context, { learner, set: { lastName: 'Berg' }, by });
    await moveLearner(muster.context, {
      learner,
      from: await muster.group('sector-a'),
      to: await muster.group('sector-b'),
      by,
    });
    const lone = await muster.group('lone');
    await addMembers(muster.context, { group: lone, learners: [learner], by });
    await linkCourses(muster.context, { group: lone, courses: [await muster.course('safety')], by });
    const history = await historyOf(muster.context, learner);
    expect(history[0]).toMatchObject({
      why: 'hr',
      by: 'test',
      created: true,
      rows: [2],
      memberships: [{ group: 'sector-a', before: [] }],
    });
    const later = history.filter((entry) => entry.at >= at);
    expect(later.map(({ why, by: who, at: when }) => [why, who, when])).toEqual(
      ['learners edit', 'learners move', 'groups add'].map((why) => [why, by, at]),
    );
    expect(later[0]?.fields).toEqual([{ field: 'lastName', before: 'Arbor', after: 'Berg' }]);
    expect(later[1]?.memberships.map(({ group, source, courses }) => [group, source, courses])).toEqual([
      ['sector-b', 'manual', null],
      ['sector-a', 'hr', 'expire'],
    ]);
  });

  test('what a change of structure did to a learner, with the change itself', async () => {
    hour();
    const options = {
      group: await muster.group('all'),
      courses: [await muster.course('welcome')],
      option: 'expire' as const,
    };
    await unlinkCourses(muster.context, { ...options, by });
    expect((await historyOf(muster.context, learner)).at(-1)).toMatchObject({
      by,
      why: 'groups unlink --courses expire',
      subscriptions: [{ course: 'welcome', event: 'expired' }],
      structure: ['welcome unlinked from all'],
    });
    await linkCourses(muster.context, { ...options, by });
  });

  test('every field of a group that is edited', async () => {
    const lone = await muster.group('lone');
    await createSubenvironment(muster.context, { name: 'north', by });
    const edit = (set: GroupEdit) => editGroup(muster.context, { group: lone, set, by });
    await edit({ instructors: ['ines@example.org'] });
    await edit({ instructors: [], subenvironments: ['north'] });
    await edit({ externalId: 'alone' as ExternalId });
    await edit({ externalId: 'lone' as ExternalId, subenvironments: [] });
    const said = [];
    for await (const { why, structure } of exportAudit(muster.context)) if (why === 'groups edit') said.push(structure);
    const of = (what: string, before: string, now: string) => `${what}: ${before} before, ${now} now`;
    expect(said).toEqual([
      [of('instructors of lone', 'none', 'ines@example.org')],
      [of('instructors of lone', 'ines@example.org', 'none'), of('subenvironments of lone', 'none', 'north')],
      ['alone had the External ID lone'],
      ['lone had the External ID alone', of('subenvironments of lone', 'north', 'none')],
    ]);
  });

  test('how a learner and a group were as of a date', async () => {
    hour();
    const before = muster.clock.now();
    const view = async () =>
      (
        await viewLearners(
          muster.context,
          [(await learnersById(muster.store, [learner])).get(learner) as never],
          await readSurroundings(muster.context),
        )
      )[0];
    const then = await view();
    hour();
    await editLearner(muster.context, { learner, set: { firstName: 'Anna', 'attributes.city': 'Ulm' }, by });
    await removeMembers(muster.context, {
      group: await muster.group('sector-b'),
      learners: 'all',
      courses: 'purge',
      by,
    });
    await unlinkCourses(muster.context, {
      group: await muster.group('lone'),
      courses: [await muster.course('safety')],
      option: 'keep',
      by,
    });
    expect(await view()).not.toEqual(then);
    expect(await viewLearnerAt(muster.context, learner, before)).toEqual(then);
    expect(await viewLearnerAt(muster.context, learner, new Date('2026-01-10T02:30:00Z'))).toBeNull();

    const members = async (group: string, at: Date, effective = false) => {
      const found: string[] = [];
      for await (const one of membersAt(muster.context, await muster.group(group), { at, effective }))
        found.push(`${one.externalId} in ${one.group}`);
      return found;
    };
    expect(await members('sector-b', before)).toEqual(['001 in sector-b', '002 in sector-b']);
    expect(await members('sector-b', muster.clock.now())).toEqual([]);
    expect(await members('all', new Date('2026-01-10T03:30:00Z'), true)).toEqual([
      '001 in sector-a',
      '002 in sector-b',
    ]);
    expect(await members('all', new Date('2026-01-10T02:30:00Z'), true)).toEqual([]);
  });

  test('courses, groups and their links leave entries of their own', async () => {
    await addCourse(muster.context, { name: 'Course first-aid', externalId: 'first-aid' as never, by });
    const entry = await muster.store.audit.findOne({ by, why: 'courses add' });
    expect(entry?.detail).toMatchObject([{ before: null, after: { externalId: 'first-aid' } }]);
  });
});

describe('R28: the chain of audit entries', () => {
  beforeEach(sealAll);

  test('the export misses no entry that is sealed while it is read, and has none twice', async () => {
    for (const readBefore of [0, 1]) {
      const sealed = await muster.store.audit.countDocuments();
      for (const lastName of ['One', 'Two'])
        await editLearner(muster.context, { learner, set: { lastName: `${lastName}${readBefore}` }, by });
      const keys: string[] = [];
      for await (const { run, batch, step } of exportAudit(muster.context)) {
        keys.push(`${run} ${batch} ${step}`);
        if (keys.length === sealed + readBefore) await sealAll();
      }
      const total = await muster.store.audit.countDocuments();
      expect(total).toBeGreaterThan(sealed + 1);
      expect(keys).toHaveLength(total);
      expect(new Set(keys).size).toBe(total);
    }
  });

  test('is whole after everything above, and the export holds it in order', async () => {
    const { audit, drift } = await verify(muster.context, { repair: false });
    expect(drift).toEqual([]);
    expect(audit).toMatchObject({ unsealed: 0, breaks: [] });
    const all: AuditView[] = [];
    for await (const entry of exportAudit(muster.context)) all.push(entry);
    expect(all.map(({ seq }) => seq)).toEqual(Array.from({ length: audit.sealed }, (_, at) => at + 1));
    expect(all.at(-1)?.hash).toBe(audit.head);
    expect(all.flatMap(({ changes }) => changes).some(({ created }) => created)).toBe(true);
  });

  test('two that seal at once give one chain', async () => {
    for (let n = 0; n < 3; n += 1) await editLearner(muster.context, { learner, set: { lastName: `L${n}` }, by });
    await Promise.all([sealAll(), sealAll(), sealAll()]);
    expect((await verify(muster.context, { repair: false })).audit).toMatchObject({ unsealed: 0, breaks: [] });
  });

  test('shows a changed, a missing and an inserted entry, each at its place', async () => {
    const { audit } = muster.store;
    const at = async (seq: number) => (await audit.findOne({ seq })) as AuditDoc;
    const breaks = async () => (await verify(muster.context, { repair: false })).audit.breaks;
    const nameOf = ({ _id: { run, batch, step } }: AuditDoc) => `${run}/${batch}/${step}`;
    const [third, fifth] = [await at(3), await at(5)];

    await audit.updateOne({ seq: 3 }, { $set: { by: 'somebody else' } });
    expect(await breaks()).toEqual([{ seq: 3, what: 'changed', entry: nameOf(third) }]);
    await audit.replaceOne({ _id: third._id }, third);
    expect(await breaks()).toEqual([]);

    await audit.deleteOne({ seq: 5 });
    expect(await breaks()).toEqual([{ seq: 5, what: 'missing', entry: null }]);
    await audit.insertOne(fifth);
    expect(await breaks()).toEqual([]);

    const forged = { ...fifth, _id: { ...fifth._id, step: 'forged' } };
    await audit.insertOne(forged);
    expect(await breaks()).toEqual([{ seq: 5, what: 'inserted', entry: nameOf(forged) }]);
    await audit.deleteOne({ _id: forged._id });

    const last = (await verify(muster.context, { repair: false })).audit.sealed;
    const end = await at(last);
    await audit.deleteOne({ seq: last });
    expect(await breaks()).toEqual([{ seq: last, what: 'missing', entry: null }]);
    await audit.insertOne(end);
  });

  test('shows a batch whose changes are not what was applied', async () => {
    const batch = await muster.store.batches.findOne({ 'changes.create.externalId': '001' } as never);
    await muster.store.batches.updateOne({ _id: batch?._id as never }, { $set: { 'changes.0.rows': [99] } });
    const { audit } = await verify(muster.context, { repair: false });
    expect(audit.breaks).toMatchObject([{ what: 'batch', entry: `${batch?._id.run}/${batch?._id.batch}/apply` }]);
  });
});
