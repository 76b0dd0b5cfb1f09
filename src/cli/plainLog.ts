import type { DestinationStream } from 'pino';
import { pino } from 'pino';

/** Log records as words, for a person who waits for a command: `warning: queue is not reachable (job apply)`. */
export function plainLog(stream: NodeJS.WritableStream): DestinationStream {
  return {
    write(line) {
      const { level, msg, time: _, at, ...fields } = JSON.parse(line) as Record<string, unknown>;
      const frames = ((at as string[] | undefined) ?? []).map((frame) => `  ${frame}\n`).join('');
      const details = Object.entries(fields).map(([name, value]) => `${name} ${String(value)}`);
      const named = LEVELS[Number(level)] ?? pino.levels.labels[Number(level)] ?? 'log';
      stream.write(`${named}: ${String(msg)}${details.length > 0 ? ` (${details.join(', ')})` : ''}\n${frames}`);
    },
  };
}

const LEVELS: Readonly<Record<number, string>> = { 40: 'warning' };
