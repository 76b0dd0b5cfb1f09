import { Redis } from 'ioredis';
import type { Store } from '../../../src/store/store.ts';

/** The n-th command that a process sends to a server, from the moment it is armed, and on which side of it. */
export interface Point {
  readonly server: 'mongodb' | 'redis';
  readonly when: 'before' | 'after';
  readonly at: number;
}

export type Counts = Record<Point['server'], number>;

/** Commands of this process's connections to both servers; those that keep a connection alive do not count. */
export class Commands {
  readonly counts: Counts = { mongodb: 0, redis: 0 };
  #armed: { point: Point; act: () => void } | undefined;
  #counting = false;

  constructor(store: Store) {
    const numbers = new Map<number, number>();
    const client = store.connection.getClient();
    client.on('commandStarted', ({ requestId }) => numbers.set(requestId, this.#began('mongodb')));
    client.on('commandSucceeded', ({ requestId }) => this.#ended('mongodb', numbers.get(requestId)));
    const send = Reflect.get(Redis.prototype, 'sendCommand');
    const [began, ended] = [() => this.#began('redis'), (number: number) => this.#ended('redis', number)];
    Redis.prototype.sendCommand = function (command, stream) {
      const number = began();
      const answer = send.call(this, command, stream);
      void command.promise.then(
        () => ended(number),
        () => undefined,
      );
      return answer;
    };
  }

  /** Counts from now on, and acts at the point: at once, on the spot. */
  arm(point: Point | undefined, act: () => void): void {
    this.counts.mongodb = 0;
    this.counts.redis = 0;
    this.#counting = true;
    this.#armed = point && { point, act };
  }

  #began(server: Point['server']): number {
    if (!this.#counting) return 0;
    this.counts[server] += 1;
    this.#reached(server, 'before', this.counts[server]);
    return this.counts[server];
  }

  #ended(server: Point['server'], number: number | undefined): void {
    if (number) this.#reached(server, 'after', number);
  }

  #reached(server: Point['server'], when: Point['when'], at: number): void {
    const armed = this.#armed;
    if (!armed || armed.point.server !== server || armed.point.when !== when || armed.point.at !== at) return;
    this.#armed = undefined;
    armed.act();
  }
}
