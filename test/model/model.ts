/**
 * The rules of domain.md once more, in the plainest way: all facts in maps, everything derived anew after each
 * operation. Shares no logic with src/; only the words are the same.
 */
export type Option = 'keep' | 'expire' | 'purge';
export interface Span {
  readonly from?: number;
  readonly until?: number;
}
export interface Hold {
  created: boolean;
  leftAt?: number;
}
export interface Person {
  active: boolean;
  /** Group → source → spans of time, in ms. */
  memberships: Map<string, Map<string, Span[]>>;
  holds: Map<string, Hold>;
  subscriptions: Map<string, { active: boolean; direct: boolean }>;
  progress: Set<string>;
  /** Goes up with each change of memberships, holds or status. */
  version: number;
}
interface Group {
  parent: string | null;
  courses: Set<string>;
}
export interface FeedRules {
  readonly name: string;
  readonly delta: boolean;
  readonly leaver: Option;
  readonly graceDays: number;
  readonly moved: Option;
  /** More memberships removed than this, and the plan is held. */
  readonly maxRemoved: number;
}
export interface Row {
  readonly who: string;
  readonly groups: readonly string[];
  readonly span: Span;
  readonly left?: boolean;
  readonly remove?: boolean;
  /** A cell of the row cannot be read. */
  readonly broken?: boolean;
}
interface Said {
  left: boolean;
  groups: Map<string, Span[]>;
  removed: Set<string>;
}
interface Ending {
  readonly group: string;
  readonly option: Option;
}
/** What a night would do to one person. */
interface Step {
  readonly version: number;
  readonly own: Map<string, Span[]>;
  readonly hold: Hold | undefined;
  readonly active: boolean;
  readonly endings: Ending[];
}
export interface Plan {
  readonly feed: FeedRules;
  readonly steps: Map<string, Step>;
  readonly held: boolean;
  readonly keys: number;
}

const DAY = 86_400_000;

export class Model {
  readonly people = new Map<string, Person>();
  readonly groups = new Map<string, Group>();
  readonly feeds: readonly FeedRules[];
  now: number;
  /** Goes up when a group comes or goes: what the rows of a feed mean may then differ. */
  keys = 0;

  constructor(
    now: number,
    groups: readonly (readonly [string, string | null, readonly string[]])[],
    feeds: readonly FeedRules[],
  ) {
    this.now = now;
    this.feeds = feeds;
    for (const [name, parent, courses] of groups) this.groups.set(name, { parent, courses: new Set(courses) });
  }

  person(who: string): Person {
    const found = this.people.get(who);
    if (!found) throw new Error(`no ${who}`);
    return found;
  }

  // ——— R1, R2

  above(group: string): string[] {
    const one = this.groups.get(group);
    if (!one) return [];
    return [group, ...(one.parent === null ? [] : this.above(one.parent))];
  }

  coursesOf(group: string): Set<string> {
    return new Set(this.above(group).flatMap((one) => [...(this.groups.get(one)?.courses ?? [])]));
  }

  entitled(person: Person): Set<string> {
    return new Set(this.groupsNow(person).flatMap((group) => [...this.coursesOf(group)]));
  }

  /** Groups in which a membership is valid now. */
  groupsNow(person: Person): string[] {
    const valid = [...person.memberships].filter(([, sources]) =>
      [...sources.values()].flat().some((span) => isOpen(span, this.now)),
    );
    return valid.map(([group]) => group);
  }

  // ——— R3, R6–R8: what becomes of a person's courses

  derive(person: Person, endings: readonly { courses: Iterable<string>; option: Option }[] = []): void {
    const entitled = this.entitled(person);
    const ended = (option: Option) =>
      new Set(endings.filter((one) => one.option === option).flatMap(({ courses }) => [...courses]));
    const [keep, purge] = [ended('keep'), ended('purge')];
    for (const course of entitled) {
      if (!person.subscriptions.has(course)) person.subscriptions.set(course, { active: true, direct: false });
    }
    for (const [course, subscription] of person.subscriptions) {
      if (entitled.has(course) || subscription.direct) subscription.active = true;
      else if (keep.has(course) && subscription.active) subscription.direct = true;
      else subscription.active = false;
    }
    for (const course of purge) {
      const subscription = person.subscriptions.get(course);
      if (entitled.has(course) || subscription?.direct || keep.has(course)) continue;
      person.subscriptions.delete(course);
      person.progress.delete(course);
    }
  }

  deriveGroups(person: Person, endings: readonly Ending[]): void {
    this.derive(
      person,
      endings.map(({ group, option }) => ({ courses: this.coursesOf(group), option })),
    );
  }

  // ——— by hand

  create(who: string): void {
    this.people.set(who, {
      active: true,
      memberships: new Map(),
      holds: new Map(),
      subscriptions: new Map(),
      progress: new Set(),
      version: 1,
    });
  }

  hold(person: Person, group: string, source: string, spans: readonly Span[]): void {
    const sources = person.memberships.get(group) ?? new Map<string, Span[]>();
    if (spans.length > 0) sources.set(source, [...spans]);
    else sources.delete(source);
    if (sources.size > 0) person.memberships.set(group, sources);
    else person.memberships.delete(group);
  }

  add(who: string, group: string): void {
    const person = this.person(who);
    if (person.memberships.get(group)?.has('manual')) return;
    this.hold(person, group, 'manual', [{}]);
    person.version += 1;
    this.derive(person);
  }

  remove(who: string, group: string, option: Option): void {
    const person = this.person(who);
    if (!person.memberships.delete(group)) return;
    person.version += 1;
    this.deriveGroups(person, [{ group, option }]);
  }

  /** R9. */
  move(who: string, from: string, to: string): void {
    const person = this.person(who);
    if (!person.memberships.get(to)?.has('manual')) this.hold(person, to, 'manual', [{}]);
    this.remove(who, from, 'expire');
  }

  /** R10: whatever is done to the groups, each effective member loses with the option what the group gives no more. */
  restructure(change: () => void, option: Option): void {
    const before = new Map([...this.groups.keys()].map((group) => [group, this.coursesOf(group)]));
    change();
    for (const person of this.people.values()) {
      const endings = this.groupsNow(person).map((group) => {
        const after = this.coursesOf(group);
        return { option, courses: [...(before.get(group) ?? [])].filter((course) => !after.has(course)) };
      });
      this.derive(person, endings);
    }
  }

  deleteGroup(name: string, option: Option): void {
    this.keys += 1;
    for (const who of this.people.keys()) this.remove(who, name, option);
    const parent = this.groups.get(name)?.parent ?? null;
    this.restructure(() => {
      for (const group of this.groups.values()) if (group.parent === name) group.parent = parent;
      this.groups.delete(name);
    }, option);
  }

  grant(who: string, course: string): void {
    const person = this.person(who);
    person.subscriptions.set(course, { active: true, direct: true });
    this.derive(person);
  }

  revoke(who: string, course: string, option: Option): void {
    const person = this.person(who);
    const subscription = person.subscriptions.get(course);
    if (!subscription?.direct) return;
    subscription.direct = false;
    this.derive(person, [{ courses: [course], option }]);
  }

  /** R5. Windows that closed since the last time end with the option of the source that held them. */
  forward(ms: number): void {
    const before = this.now;
    this.now += ms;
    for (const person of this.people.values()) {
      const endings = [...person.memberships].flatMap(([group, sources]) =>
        [...sources].flatMap(([source, spans]) =>
          spans
            .filter(({ until }) => until !== undefined && until > before && until <= this.now)
            .map(() => ({
              group,
              option: this.feeds.find(({ name }) => name === source)?.leaver ?? ('expire' as const),
            })),
        ),
      );
      this.deriveGroups(person, endings);
    }
  }

  // ——— R12–R20: a night of a feed

  plan(feed: FeedRules, rows: readonly Row[]): Plan {
    const unknown = ({ groups, remove, left }: Row) =>
      !remove && !left && groups.some((group) => !this.groups.has(group));
    const rejected = new Set(rows.filter((row) => row.broken || unknown(row)));
    const byPerson = new Map<string, Row[]>();
    for (const row of rows) if (!rejected.has(row)) byPerson.set(row.who, [...(byPerson.get(row.who) ?? []), row]);
    const said = new Map<string, Said>();
    for (const [who, list] of byPerson) {
      const one = this.#unite(list);
      if (one) said.set(who, one);
      else for (const row of list) rejected.add(row);
    }
    const protectedPeople = new Set([...rejected].map(({ who }) => who));
    const protectedGroups = new Set([...rejected].flatMap(({ groups }) => groups));
    const steps = new Map<string, Step>();
    for (const [who, person] of this.people) {
      const says = said.get(who);
      const isHeld =
        person.holds.has(feed.name) || [...person.memberships.values()].some((sources) => sources.has(feed.name));
      if (says ? says.left && !isHeld : feed.delta || !isHeld) continue;
      const protects = (group: string) => protectedPeople.has(who) || protectedGroups.has(group);
      const step = this.#step(feed, person, says, protects, protectedPeople.has(who));
      if (step) steps.set(who, step);
    }
    for (const [who, says] of said) {
      if (this.people.has(who) || says.left || (says.groups.size === 0 && says.removed.size > 0)) continue;
      steps.set(who, { version: 0, own: says.groups, hold: { created: true }, active: true, endings: [] });
    }
    const removed = [...steps].reduce((sum, [who, { own }]) => {
      const before = [...(this.people.get(who)?.memberships ?? [])].filter(([, sources]) => sources.has(feed.name));
      return sum + before.filter(([group]) => !own.has(group)).length;
    }, 0);
    return { feed, steps, held: removed > feed.maxRemoved, keys: this.keys };
  }

  /** R18; undefined: the rows contradict each other. */
  #unite(rows: readonly Row[]): Said | undefined {
    const stating = rows.filter(({ remove }) => !remove);
    if (new Set(stating.map(({ left }) => left ?? false)).size > 1) return undefined;
    const groups = new Map<string, Span[]>();
    for (const { groups: named, span } of stating) {
      for (const group of named)
        if (this.groups.has(group)) groups.set(group, joined([...(groups.get(group) ?? []), span]));
    }
    const removed = new Set(
      rows.filter(({ remove }) => remove).flatMap((row) => row.groups.filter((group) => this.groups.has(group))),
    );
    if ([...removed].some((group) => groups.has(group))) return undefined;
    return { left: stating.some(({ left }) => left), groups, removed };
  }

  #step(
    feed: FeedRules,
    person: Person,
    says: Said | undefined,
    protects: (group: string) => boolean,
    shielded: boolean,
  ): Step | undefined {
    const before = new Map<string, Span[]>();
    for (const [group, sources] of person.memberships) {
      const spans = sources.get(feed.name);
      if (spans) before.set(group, spans);
    }
    const held = person.holds.get(feed.name);
    const own = new Map(before);
    const endings: Ending[] = [];
    let hold: Hold | undefined = held && { ...held };
    let { active } = person;
    let given = false;
    const take = (group: string, option: Option) => {
      if (!own.has(group)) return;
      if (protects(group)) {
        given = true;
        return;
      }
      own.delete(group);
      endings.push({ group, option });
    };
    if (says && !says.left) {
      const onlyRemoves = feed.delta && says.groups.size === 0 && says.removed.size > 0;
      if (!onlyRemoves) {
        hold = { created: held?.created ?? false };
        active = true;
      } else if (held) hold = { created: held.created };
      for (const [group, spans] of says.groups) {
        const old = own.get(group) ?? [];
        if (protects(group) && !same(joined([...old, ...spans]), spans)) {
          given = true;
          continue;
        }
        own.set(group, spans);
        const isOpenIn = (list: readonly Span[]) => list.some((span) => isOpen(span, this.now));
        if (isOpenIn(old) && !isOpenIn(spans)) endings.push({ group, option: feed.moved });
      }
      for (const group of before.keys()) {
        if (feed.delta ? says.removed.has(group) : !says.groups.has(group)) take(group, feed.moved);
      }
    } else if (!shielded) {
      const leftAt = held?.leftAt ?? this.now;
      if (held || says) hold = { created: held?.created ?? false, leftAt };
      if (this.now >= leftAt + feed.graceDays * DAY) {
        for (const group of before.keys()) take(group, feed.leaver);
        const others = [...person.memberships.values()].some((sources) =>
          [...sources.keys()].some((source) => source !== feed.name),
        );
        const named = [...person.holds].some(([name, one]) => name !== feed.name && one.leftAt === undefined);
        const made = hold?.created || [...person.holds.values()].some((one) => one.created && one.leftAt !== undefined);
        if (made && !others && !named && own.size === 0) active = false;
      }
    }
    // Rows of a delta feed that cannot be done as a whole are given back.
    if (feed.delta && given) return undefined;
    const sameOwn =
      own.size === before.size && [...own].every(([group, spans]) => same(spans, before.get(group) ?? []));
    const sameHold = hold?.created === held?.created && hold?.leftAt === held?.leftAt && !hold === !held;
    if (sameOwn && sameHold && active === person.active) return undefined;
    return { version: person.version, own, hold, active, endings };
  }

  /** R30: the groups, and the people whom the plan changes, are as they were when it was made. */
  isFresh({ steps, keys }: Plan): boolean {
    if (keys !== this.keys) return false;
    return [...steps].every(([who, { version }]) => (this.people.get(who)?.version ?? 0) === version);
  }

  apply({ feed, steps }: Plan): void {
    for (const [who, { own, hold, active, endings }] of steps) {
      if (!this.people.has(who)) this.create(who);
      const person = this.person(who);
      for (const group of this.groups.keys()) this.hold(person, group, feed.name, own.get(group) ?? []);
      if (hold) person.holds.set(feed.name, hold);
      else person.holds.delete(feed.name);
      person.active = active;
      person.version += 1;
      this.deriveGroups(person, endings);
    }
  }

  // ——— what is compared

  facts(): Record<string, unknown> {
    const time = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
    return Object.fromEntries(
      [...this.people].sort(byName).map(([who, person]) => [
        who,
        {
          active: person.active,
          memberships: [...person.memberships]
            .flatMap(([group, sources]) =>
              [...sources].flatMap(([source, spans]) =>
                spans.map(({ from, until }) => `${group} ${source} ${time(from)} ${time(until)}`),
              ),
            )
            .sort(),
          subscriptions: [...person.subscriptions]
            .map(([course, { active, direct }]) => `${course} ${active} ${direct}`)
            .sort(),
          progress: [...person.progress].sort(),
        },
      ]),
    );
  }
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function isOpen({ from = -Infinity, until = Infinity }: Span, now: number): boolean {
  return from <= now && now < until;
}

/** The same moments as few spans, by walking over all edges. */
function joined(spans: readonly Span[]): Span[] {
  const edges = [...new Set(spans.flatMap(({ from = -Infinity, until = Infinity }) => [from, until]))].sort(
    (a, b) => a - b,
  );
  const result: { from: number; until: number }[] = [];
  for (const [at, from] of edges.slice(0, -1).entries()) {
    const until = edges[at + 1] as number;
    if (!spans.some((span) => (span.from ?? -Infinity) <= from && until <= (span.until ?? Infinity))) continue;
    const last = result.at(-1);
    if (last?.until === from) last.until = until;
    else result.push({ from, until });
  }
  return result.map(({ from, until }) => ({ ...(from > -Infinity && { from }), ...(until < Infinity && { until }) }));
}

function same(a: readonly Span[], b: readonly Span[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
