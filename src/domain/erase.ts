import type { Change, FieldChange } from './change.ts';
import { type ExternalId, emailKey, type LearnerId } from './ids.ts';

/** By what traces of a person are found. */
export interface Person {
  /** The learner's number, and those that plans had foreseen. */
  readonly learners: readonly LearnerId[];
  /** All that the person ever had, without those that somebody else holds by now. */
  readonly externalIds: readonly ExternalId[];
  /** In lower case; without those that somebody else holds by now. */
  readonly emails: readonly string[];
}

/** Whether a change is of this person, also one that was to create them under another number. */
export function isOf({ learners, externalIds }: Person, { learner, create }: Change): boolean {
  return learners.includes(learner) || (create?.externalId !== undefined && externalIds.includes(create.externalId));
}

/**
 * Changes of a plan without the person. What was applied keeps its shape (number, groups, names of fields), so that the
 * audit still adds up, and loses every text; what was not applied goes. An address or External ID of the person that
 * stands in an applied change of somebody else goes as well. The same array where there is nothing to take out.
 */
export function withoutPerson(
  changes: readonly Change[],
  person: Person,
  applied: { readonly theirs: boolean; readonly others: boolean },
): readonly Change[] {
  let altered = false;
  const left = changes.flatMap((change) => {
    const after = isOf(person, change)
      ? applied.theirs
        ? withoutTexts(change)
        : undefined
      : applied.others
        ? withoutMention(change, person)
        : change;
    altered ||= after !== change;
    return after ?? [];
  });
  return altered ? left : changes;
}

const STATUS = 'status';

function withoutTexts(change: Change): Change {
  const { create, fields } = change;
  const bare =
    fields.every(isBare) && (!create || Object.keys(create).every((key) => key === STATUS || key === 'attributes'));
  if (bare && Object.keys(create?.attributes ?? {}).length === 0) return change;
  return {
    ...change,
    ...(create && { create: { status: create.status, attributes: {} } }),
    fields: fields.map((one) => (isBare(one) ? one : { field: one.field })),
  };
}

function isBare({ field, before, after }: FieldChange): boolean {
  return field === STATUS || (before === undefined && after === undefined);
}

function withoutMention(change: Change, { externalIds, emails }: Person): Change {
  const names = (field: string, text: string | undefined) =>
    text !== undefined &&
    ((field === 'email' && emails.includes(emailKey(text))) ||
      (field === 'externalId' && externalIds.includes(text as ExternalId)));
  const { create } = change;
  const made = create && names('email', create.email);
  if (!made && !change.fields.some(({ field, before, after }) => names(field, before) || names(field, after)))
    return change;
  const { email: _, ...rest } = create ?? { status: 'active' as const, attributes: {} };
  return {
    ...change,
    ...(made && { create: rest }),
    fields: change.fields.map(({ field, before, after }) => ({
      field,
      ...(before !== undefined && !names(field, before) && { before }),
      ...(after !== undefined && !names(field, after) && { after }),
    })),
  };
}
