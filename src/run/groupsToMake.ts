import type { Rejection, RowClaim } from '../domain/claim.ts';
import type { ExternalId, GroupId } from '../domain/ids.ts';
import type { FeedPolicy } from '../domain/policy.ts';
import type { Structure } from '../domain/structure.ts';

export interface NewGroup {
  readonly externalId: ExternalId;
  readonly name: string;
  readonly parent?: ExternalId;
}

/** Groups that rows name and that do not exist: what the feed makes of them (R19). */
export class GroupsToMake {
  readonly #policy: FeedPolicy;
  readonly #structure: Structure;
  readonly #unknown = new Map<ExternalId, NewGroup>();

  constructor(policy: FeedPolicy, structure: Structure) {
    this.#policy = policy;
    this.#structure = structure;
  }

  /** The rejection of a row that names a group which does not exist and is not to be made; a removal may name it. */
  refuse(row: RowClaim): Rejection | undefined {
    if (this.#policy.unknownGroup === 'create' || !adds(row)) return undefined;
    const structure = this.#structure;
    const unknown = row.groups.find(({ externalId }) => !structure.byExternalId(externalId));
    if (!unknown) return undefined;
    const near = structure.nearMiss(unknown.externalId);
    const hint = near
      ? ` Group ${near.externalId} (${near.name}) differs by letter case or zeros alone; is it meant?`
      : ' Create the group with this External ID, or set `unknownGroup: create`.';
    return {
      row: row.row,
      code: 'unknown-group',
      message: `No group has the External ID ${unknown.externalId}; the row was not used and takes nothing away.${hint}`,
      ...(row.externalId && { externalId: row.externalId }),
      ...(row.email && { email: row.email }),
      groups: row.groups.map((group) => group.externalId),
    };
  }

  /** Notes what of the row's groups is to be made. */
  add(row: RowClaim): void {
    if (this.#policy.unknownGroup !== 'create' || !adds(row)) return;
    for (const { externalId, name, parent } of row.groups) {
      this.#note({ externalId, name: name || externalId, ...(parent && parent !== externalId && { parent }) });
      if (parent) this.#note({ externalId: parent, name: parent });
    }
  }

  async withIds(newIds: (count: number) => Promise<GroupId[]>): Promise<Map<GroupId, NewGroup>> {
    const list = [...this.#unknown.values()].sort((a, b) => (a.externalId < b.externalId ? -1 : 1));
    const ids = await newIds(list.length);
    return new Map(list.map((group, at) => [ids[at] as GroupId, group]));
  }

  #note(group: NewGroup): void {
    if (this.#structure.byExternalId(group.externalId)) return;
    const before = this.#unknown.get(group.externalId);
    if (before && (before.name !== before.externalId || group.name === group.externalId)) return;
    this.#unknown.set(group.externalId, { ...before, ...group });
  }
}

function adds({ action, status }: RowClaim): boolean {
  return action !== 'remove' && status !== 'left';
}
