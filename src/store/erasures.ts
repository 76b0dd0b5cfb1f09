import { createHmac } from 'node:crypto';
import { UsageError } from '../domain/errors.ts';
import { type ExternalId, emailKey } from '../domain/ids.ts';
import { environmentSecret } from './secrets.ts';
import { type Session, type Store, within } from './store.ts';

/** By what a row, or a person at the keyboard, calls somebody. */
export interface Named {
  readonly externalId?: ExternalId | undefined;
  readonly email?: string | undefined;
}

/** People who were erased, known by keyed hashes alone: it can be asked whether somebody is one of them, not who they are. */
export class ErasedPeople {
  readonly #secret: string;
  readonly #keys: ReadonlySet<string>;

  constructor(secret: string, keys: ReadonlySet<string>) {
    this.#secret = secret;
    this.#keys = keys;
  }

  /** By what the person is known as an erased one; undefined = is none. */
  match(named: Named): 'externalId' | 'email' | undefined {
    const { externalId, email } = keysOf(this.#secret, named);
    if (externalId && this.#keys.has(externalId)) return 'externalId';
    return email && this.#keys.has(email) ? 'email' : undefined;
  }
}

/** Undefined where nobody was erased. */
export async function readErased(store: Store): Promise<ErasedPeople | undefined> {
  const docs = await store.erasures.find({ keys: { $exists: true } }, { projection: { keys: 1 } }).toArray();
  const keys = new Set(docs.flatMap((doc) => doc.keys ?? []));
  return keys.size > 0 ? new ErasedPeople(await readSecret(store), keys) : undefined;
}

/** The environment's key of these hashes. */
export function readSecret(store: Store): Promise<string> {
  return environmentSecret(store, 'erasures');
}

/** The keyed hashes of what somebody is called by. */
export function keysOf(secret: string, { externalId, email }: Named): { externalId?: string; email?: string } {
  const hash = (text: string) => createHmac('sha256', secret).update(text).digest('base64url');
  return {
    ...(externalId && { externalId: hash(`id ${externalId}`) }),
    ...(email && { email: hash(`mail ${emailKey(email)}`) }),
  };
}

/** The External ID or e-mail address is that of an erased person, and nobody has lifted it. */
export class Erased extends UsageError {
  override readonly code = 'erased';
  constructor(what: string) {
    super(
      `The person of this ${what} was erased; nothing was changed. Where that person is back, lift it first: muster learners unerase.`,
    );
  }
}

/** @throws {Erased} */
export async function refuseErased(store: Store, named: Named): Promise<void> {
  const found = (await readErased(store))?.match(named);
  if (found) throw new Erased(found === 'email' ? 'e-mail address' : 'External ID');
}

/** Takes away what keeps imports from bringing the person back. Returns how many erasures were lifted. */
export async function liftKeys(
  store: Store,
  session: Session,
  keys: readonly string[],
  lifted: { at: Date; by: string },
): Promise<number> {
  const { modifiedCount } = await store.erasures.updateMany(
    { keys: { $in: keys } },
    { $unset: { keys: '' }, $set: { lifted } },
    within(session),
  );
  return modifiedCount;
}
