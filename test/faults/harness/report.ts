/** Writes what `npm run faults` found into docs/faults.md, between its markers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { figures } from './figures.ts';

interface Row {
  readonly fault: string;
  readonly made: string;
  /** Where no figure is made: why. */
  readonly otherwise?: string;
}

const NOT_YET = 'not covered: the source is not built yet';

const ROWS: Readonly<Record<string, Row>> = {
  1: {
    fault: 'worker dies at step N',
    made: 'SIGKILL of itself before and after the N-th MongoDB or Redis command of a run of 300 learners, two nights; N goes up until a run ends unharmed',
  },
  2: { fault: 'as 1, twice', made: 'the process that goes on is killed too; seeded pairs of points' },
  3: { fault: 'SIGTERM in a batch', made: '`muster worker` gets the signal while it applies' },
  4: {
    fault: 'worker frozen for longer than its lock, then wakes',
    made: 'SIGSTOP of itself at a seeded command; another goes on to the end; SIGCONT',
  },
  5: { fault: 'event loop blocked', made: 'a busy loop at a seeded command' },
  6: {
    fault: 'a batch that kills its worker each time',
    made: 'the worker is cut off from its servers for good whenever it reads one learner, in applying and in settling',
  },
  7: { fault: 'API dies in an upload', made: 'SIGKILL with half of a file sent, started again' },
  8: { fault: 'Redis killed', made: 'SIGKILL in a run, started again on the same port' },
  9: { fault: 'Redis takes no bytes', made: 'a proxy that lets no byte through for so long; a lock lasts 0.4 s' },
  10: {
    fault: 'Redis loses its newest writes',
    made: 'SIGKILL, up to 4,000 bytes cut off its append-only file, started again',
  },
  11: { fault: 'Redis is empty', made: 'FLUSHALL after the N-th MongoDB command' },
  12: { fault: 'Redis is full', made: '`maxmemory 6mb` and a filler' },
  13: { fault: 'wrong eviction policy', made: '`allkeys-lru`' },
  14: { fault: "Redis's disk full", made: 'a disk of 16 MB of its own, filled at a seeded command' },
  15: { fault: 'each job delivered twice, shuffled', made: 'every job of a run four times more, in reverse' },
  16: { fault: 'a job comes months late', made: 'the facts and the clock changed between applying and settling' },
  17: { fault: 'mongod killed', made: 'SIGKILL at a seeded command, started again after 0.5 s' },
  18: {
    fault: 'primary steps down at each phase of a write',
    made: 'three mongods, `replSetStepDown` before and after the first, middle and last command of each kind, in and outside transactions',
  },
  19: {
    fault: 'primary frozen',
    made: 'three mongods, SIGSTOP of the primary at a seeded command; SIGCONT when the run is at its end',
  },
  20: { fault: 'no majority', made: 'two of three mongods killed at a seeded command, started again' },
  21: { fault: 'transient error at command N', made: 'fail point `failCommand`, WriteConflict' },
  22: {
    fault: 'reply of command N lost',
    made: 'the driver is told that the connection closed, when the server has done it',
  },
  23: { fault: 'unknown outcome of write N', made: 'fail point `failCommand`, WriteConcernFailed after the write' },
  24: { fault: 'slow database', made: 'fail point with `blockConnection`' },
  25: { fault: 'random write conflicts', made: 'fail point `WTWriteConflictException`, 2 in 100' },
  26: { fault: '50 writers of one learner, 50 of one group', made: 'parallel' },
  27: {
    fault: 'transaction over its lifetime',
    made: '`transactionLifetimeLimitSeconds` 1, and writes that take 8 ms a learner',
  },
  28: { fault: "database's disk full", made: 'a disk of 128 MB of its own, filled at a seeded command' },
  29: {
    fault: 'database restored from an older copy than Redis',
    made: 'its data folder put back as it was before the run, when up to 7 batches were applied and all were enqueued',
  },
  30: {
    fault: 'an index is missing or being built',
    made: 'indexes dropped in the middle of a run, four workers started at once',
  },
  31: { fault: 'two feeds, one learner', made: 'all 70 interleavings of their batches' },
  32: { fault: 'eight schedulers, one due time', made: 'parallel start' },
  33: { fault: 'clock jumps', made: 'fake clock' },
  34: { fault: 'both nights of daylight saving, and a zone 14 hours away', made: 'fake clock' },
  35: { fault: 'feed cut at every byte', made: 'a file cut there, imported; CSV is the only format yet' },
  36: { fault: 'SFTP slow or stalled', made: 'a proxy with little or no bandwidth', otherwise: NOT_YET },
  37: { fault: 'file grows or is replaced while it is read', made: 'written to at the N-th command' },
  38: {
    fault: 'HTTPS answers with an error page, a short body, a wrong length',
    made: 'local server',
    otherwise: NOT_YET,
  },
  39: { fault: 'S3 listing partial or 503', made: 'local server behind a proxy', otherwise: NOT_YET },
  40: { fault: 'purge killed half way', made: 'the second night of row 1: its leavers are purged' },
};

const [START, END] = ['<!-- figures: npm run faults -->', '<!-- end of figures -->'];
const page = 'docs/faults.md';
const found = figures();
const lines = Object.entries(ROWS).map(([number, { fault, made, otherwise }]) => {
  const result = found.get(number) ?? otherwise ?? 'no figure in the last `npm run faults`';
  return `| ${number} | ${fault} | ${made} | ${result} |`;
});
const table = [
  `Figures of ${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores (${cpus()[0]?.model.trim()}), Node ${process.version}.`,
  '',
  '| # | fault | made by | result |',
  '| --- | --- | --- | --- |',
  ...lines,
];
const text = readFileSync(page, 'utf8');
const [before, rest] = text.split(START);
const after = rest?.split(END)[1];
if (before === undefined || after === undefined)
  throw new Error(`${page} has no markers ${START} and ${END}; nothing was written.`);
writeFileSync(page, `${before}${START}\n${table.join('\n')}\n${END}${after}`);
console.log(`${found.size} rows with figures are in ${page}.`);
