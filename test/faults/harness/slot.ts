import { Child, childrenOf, type End, workerScript } from './children.ts';
import type { EngineOptions } from './engine.ts';
import { expireTransactions } from './sessions.ts';
import type { Order } from './worker.ts';
import { type Night, World } from './world.ts';

/** A world with the next process always warm: one starts while the one before it is being recovered from. */
export class Slot {
  readonly world: World;
  readonly #script: string;
  #next: Child;

  private constructor(world: World, script: string) {
    this.world = world;
    this.#script = script;
    this.#next = this.#start();
  }

  static async open(options: EngineOptions): Promise<Slot> {
    const script = await workerScript();
    return new Slot(await World.open(options), script);
  }

  #start(): Child {
    return new Child(this.#script, this.world.options);
  }

  /** The next process; another is started in its place. */
  take(): Child {
    const child = this.#next;
    this.#next = this.#start();
    return child;
  }

  /** Sets the night back, and has a process carry out each order until it dies or is done. */
  async run(which: Night, orders: readonly Omit<Order, 'path'>[]): Promise<End[]> {
    const { world } = this;
    await world.reset(which);
    const ends: End[] = [];
    for (const order of orders) {
      const child = this.take();
      ends.push(await child.carryOut({ ...order, path: world.path(which) }));
      await child.kill();
      await expireTransactions(world.engine.store, childrenOf(world.options.prefix));
    }
    return ends;
  }

  async close(): Promise<void> {
    await this.#next.kill();
    await this.world.close();
  }
}
