import { strict as assert } from 'node:assert';
import type { RunId } from '../../src/domain/ids.ts';
import type { TestMuster } from '../harness.ts';
import { Model, type Plan } from './model.ts';
import type { Operation, World } from './operations.ts';
import { Reality } from './reality.ts';

let worlds = 0;

/** One world, real and modelled, to which the same things happen. */
export class Pair {
  readonly #reality: Reality;
  readonly #model: Model;
  readonly #last = new Map<number, Operation & { op: 'night' }>();
  readonly #held = new Map<string, { plan: Plan; id: RunId }>();

  private constructor(reality: Reality, model: Model) {
    this.#reality = reality;
    this.#model = model;
  }

  static async build(muster: TestMuster, world: World): Promise<Pair> {
    worlds += 1;
    const reality = new Reality(muster, `w${worlds}-`);
    await reality.build(world);
    return new Pair(reality, new Model(muster.clock.now().getTime(), world.groups, world.feeds));
  }

  /** Does it to both, where it can be done at all. */
  async happen(operation: Operation): Promise<void> {
    const [real, model] = [this.#reality, this.#model];
    const known = (who: readonly string[]) => who.filter((one) => model.people.has(one));
    const exists = (...groups: string[]) => groups.every((one) => model.groups.has(one));
    switch (operation.op) {
      case 'night':
        return this.#night(operation);
      case 'again': {
        const last = this.#last.get(operation.feed);
        return last && this.#night(last);
      }
      case 'approve':
        return this.#approve(model.feeds[operation.feed] as Plan['feed']);
      case 'create':
        if (model.people.has(operation.who)) return;
        model.create(operation.who);
        return real.create(operation.who);
      case 'add': {
        const who = known(operation.who);
        if (!exists(operation.group)) return;
        for (const one of who) model.add(one, operation.group);
        return real.add(who, operation.group);
      }
      case 'remove': {
        const { group, option } = operation;
        if (!exists(group)) return;
        const who = operation.who === 'all' ? 'all' : known(operation.who);
        for (const one of who === 'all' ? model.people.keys() : who) model.remove(one, group, option);
        return real.remove(who, group, option);
      }
      case 'move': {
        const { who, from, to } = operation;
        if (from === to || !exists(to) || !model.people.get(who)?.memberships.has(from)) return;
        model.move(who, from, to);
        return real.move(who, from, to);
      }
      case 'link': {
        const group = model.groups.get(operation.group);
        if (!group) return;
        model.restructure(() => {
          for (const course of operation.courses) group.courses.add(course);
        }, 'expire');
        return real.link(operation.group, operation.courses);
      }
      case 'unlink': {
        const group = model.groups.get(operation.group);
        if (!group) return;
        model.restructure(() => {
          for (const course of operation.courses) group.courses.delete(course);
        }, operation.option);
        return real.unlink(operation.group, operation.courses, operation.option);
      }
      case 'moveGroup': {
        const { group, parent, option } = operation;
        if (!exists(group) || (parent !== null && !exists(parent))) return;
        if (parent !== null && model.above(parent).includes(group)) {
          await assert.rejects(real.moveGroup(group, parent, option), /circle|below itself/);
          return;
        }
        model.restructure(() => {
          (model.groups.get(group) as { parent: string | null }).parent = parent;
        }, option);
        return real.moveGroup(group, parent, option);
      }
      case 'deleteGroup':
        if (!exists(operation.group)) return;
        model.deleteGroup(operation.group, operation.option);
        return real.deleteGroup(operation.group, operation.option);
      case 'createGroup': {
        const { group, parent } = operation;
        if (exists(group) || (parent !== null && !exists(parent))) return;
        model.groups.set(group, { parent, courses: new Set() });
        model.keys += 1;
        return real.createGroup(group, parent);
      }
      case 'grant': {
        const who = known(operation.who);
        for (const one of who) model.grant(one, operation.course);
        return real.grant(who, operation.course);
      }
      case 'revoke': {
        const who = known(operation.who);
        for (const one of who) model.revoke(one, operation.course, operation.option);
        return real.revoke(who, operation.course, operation.option);
      }
      case 'progress': {
        const { who, course } = operation;
        const person = model.people.get(who);
        if (!person) return;
        if (!person.subscriptions.get(course)?.active) {
          await assert.rejects(real.progress(who, course), /no active subscription/);
          return;
        }
        person.progress.add(course);
        return real.progress(who, course);
      }
      case 'forward':
        model.forward(operation.ms);
        return real.forward(operation.ms);
    }
  }

  async #night(operation: Operation & { op: 'night' }): Promise<void> {
    const feed = this.#model.feeds[operation.feed] as Plan['feed'];
    this.#last.set(operation.feed, operation);
    const rows = operation.rows.map((row) => ({ ...row, span: this.#reality.moment(row.span) }));
    const plan = this.#model.plan(feed, rows);
    const { id, state, noChange } = await this.#reality.night(feed, operation.rows);
    assert.deepEqual({ state, noChange }, { state: plan.held ? 'held' : 'completed', noChange: plan.steps.size === 0 });
    const older = this.#held.get(feed.name);
    if (older) assert.equal(await this.#reality.stateOf(older.id), 'superseded');
    this.#held.delete(feed.name);
    if (!plan.held) return this.#model.apply(plan);
    if (operation.held === 'reject') return this.#reality.reject(id);
    this.#held.set(feed.name, { plan, id });
    if (operation.held === 'approve') await this.#approve(feed);
  }

  /** R30: a held plan is applied as it was shown, or not at all. */
  async #approve({ name }: Plan['feed']): Promise<void> {
    const held = this.#held.get(name);
    if (!held) return;
    const fresh = this.#model.isFresh(held.plan);
    assert.equal(await this.#reality.approve(held.id), fresh ? 'completed' : 'stale');
    this.#held.delete(name);
    if (!fresh) return this.#reality.reject(held.id);
    this.#model.apply(held.plan);
  }

  /** What the store holds, and what it should. */
  async facts(): Promise<{ real: unknown; modelled: unknown }> {
    return { real: await this.#reality.facts(), modelled: this.#model.facts() };
  }

  /** Work that waits and operations that were set aside, when nothing happens any more. */
  unfinished(): Promise<number> {
    return this.#reality.unfinished();
  }
}
