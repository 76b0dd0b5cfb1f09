import { keepHeapSmall } from '../src/settings/heap.ts';
import { Cast } from './cast.ts';
import { type Answer, type Surroundings, type Task, type TaskName, tasks } from './tasks.ts';

// As the product does it.
keepHeapSmall();

/** The other end of a `Side`: does one task after the other and answers with what it cost. */
const cast = new Cast(JSON.parse(process.argv[2] ?? '{}') as Surroundings);

process.on('message', (message: { name: TaskName; order: never } | { end: true }) => {
  if ('end' in message) void cast.close().then(() => process.exit());
  else {
    act(message).then(
      (answer) => process.send?.({ answer }),
      (error: Error) => process.send?.({ error: error.stack ?? error.message }),
    );
  }
});

async function act({ name, order }: { name: TaskName; order: never }): Promise<Answer> {
  const task = (await tasks[name]()) as Task<never>;
  return task(cast, order);
}

// The bench was ended while this side was at work.
process.on('disconnect', () => process.exit(1));
