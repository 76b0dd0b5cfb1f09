import { NotFound, UsageError } from '../domain/errors.ts';
import { audited } from '../store/audited.ts';
import { isDuplicateKey } from '../store/failures.ts';
import type { Services } from '../store/services.ts';
import type { Store } from '../store/store.ts';
import { readCourses, readStructure } from '../store/structure.ts';
import { subenvironmentName } from '../store/subenvironments.ts';
import { setSubenvironment } from './structureChange.ts';
import { keyOf } from './views/key.ts';
import { compare } from './views/learnerView.ts';

/** A subenvironment, and what is in it. */
export interface SubenvironmentView {
  readonly name: string;
  /** Groups that are linked to it. */
  readonly groups: readonly string[];
  readonly courses: readonly string[];
  /** Logins of those who have access to it. */
  readonly users: readonly string[];
  /** null: nobody made it, but something bears its name. */
  readonly createdAt: Date | null;
  readonly createdBy: string | null;
}

const STEP = { step: 'subenvironment' } as const;

/** Every subenvironment by name: those that were made, and those whose names groups, courses or users bear. */
export async function listSubenvironments({ store }: Pick<Services, 'store'>): Promise<SubenvironmentView[]> {
  const [made, structure, courses, users] = await Promise.all([
    store.subenvironments.find().toArray(),
    readStructure(store),
    readCourses(store),
    store.users.find({ revokedAt: { $exists: false } }).toArray(),
  ]);
  const all = new Map<string, { groups: string[]; courses: string[]; users: string[] }>();
  const of = (name: string) => {
    const known = all.get(name) ?? { groups: [], courses: [], users: [] };
    all.set(name, known);
    return known;
  };
  for (const { _id } of made) of(_id);
  for (const group of structure.groups) for (const name of group.subenvironments) of(name).groups.push(keyOf(group));
  for (const course of courses.values())
    if (course.subenvironment) of(course.subenvironment).courses.push(keyOf(course));
  for (const { _id, subenvironments } of users) for (const name of subenvironments) of(name).users.push(_id);
  const docs = new Map(made.map((doc) => [doc._id, doc]));
  return [...all]
    .map(([name, inIt]) => ({
      name,
      groups: inIt.groups.sort(compare),
      courses: inIt.courses.sort(compare),
      users: inIt.users.sort(compare),
      createdAt: docs.get(name)?.createdAt ?? null,
      createdBy: docs.get(name)?.createdBy ?? null,
    }))
    .sort((a, b) => compare(a.name, b.name));
}

/** @throws {NotFound} */
export async function readSubenvironment(services: Pick<Services, 'store'>, name: string): Promise<SubenvironmentView> {
  const found = (await listSubenvironments(services)).find((one) => one.name === name);
  if (found) return found;
  throw new NotFound(
    `There is no subenvironment ${name}; nothing was changed. \`muster subenvironments list\` lists all.`,
  );
}

export async function createSubenvironment(
  services: Services,
  { name: text, by }: { name: string; by: string },
): Promise<SubenvironmentView> {
  const { store, clock } = services;
  const name = subenvironmentName(text);
  if (name === '' || name.length > 200)
    throw new UsageError('A subenvironment needs a name of 1 to 200 letters; nothing was changed.');
  const doc = { _id: name, createdAt: clock.now(), createdBy: by };
  try {
    await audited(services, { ...STEP, by, why: 'subenvironments create' }, async (session) => {
      await store.subenvironments.insertOne(doc, { session });
      return { result: undefined, detail: { name } };
    });
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
    throw new UsageError(`Subenvironment ${name} exists already; nothing was changed.`);
  }
  return readSubenvironment(services, name);
}

/**
 * Deletes a subenvironment: groups are unlinked from it, its courses are in none from then on, and users lose their
 * access to it. Groups, courses and what learners have stay. Returns what was in it.
 */
export async function deleteSubenvironment(
  services: Services,
  { name, by }: { name: string; by: string },
): Promise<SubenvironmentView> {
  const { store } = services;
  const was = await readSubenvironment(services, name);
  const linked = [...(await readStructure(store)).groups].filter((group) => group.subenvironments.includes(name));
  await setSubenvironment(services, { groups: linked.map(({ id }) => id), name, linked: false, by });
  return audited(services, { ...STEP, by, why: 'subenvironments delete' }, async (session) => {
    const within = { session };
    await store.courses.updateMany({ subenvironment: name }, { $unset: { subenvironment: '' } }, within);
    await store.users.updateMany({ subenvironments: name }, { $pull: { subenvironments: name } }, within);
    await store.subenvironments.deleteOne({ _id: name }, within);
    return { result: was, detail: was };
  });
}

/** Gives resellers access to a subenvironment, or takes it away. Sessions see it with their next request. */
export async function setAccess(
  services: Services,
  { name, users, allowed, by }: { name: string; users: readonly string[]; allowed: boolean; by: string },
): Promise<SubenvironmentView> {
  const { store } = services;
  await readSubenvironment(services, name);
  const logins = users.map((login) => login.trim().normalize('NFC').toLowerCase());
  await refuseOthers(store, logins);
  await audited(services, { ...STEP, by, why: `subenvironments ${allowed ? 'allow' : 'deny'}` }, async (session) => {
    await store.users.updateMany(
      { _id: { $in: logins } },
      allowed ? { $addToSet: { subenvironments: name } } : { $pull: { subenvironments: name } },
      { session },
    );
    return { result: undefined, detail: { name, users: logins } };
  });
  return readSubenvironment(services, name);
}

async function refuseOthers(store: Store, logins: readonly string[]): Promise<void> {
  const found = await store.users.find({ _id: { $in: [...logins] }, revokedAt: { $exists: false } }).toArray();
  const missing = logins.find((login) => !found.some(({ _id }) => _id === login));
  if (missing !== undefined)
    throw new NotFound(`There is no user ${missing}; nothing was changed. \`muster users list\` lists them.`);
  const other = found.find(({ role }) => role !== 'reseller');
  if (other)
    throw new UsageError(
      `User ${other._id} is ${other.role}, and only resellers are given subenvironments; nothing was changed.`,
    );
}
