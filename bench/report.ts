import { cpus, loadavg, release, totalmem } from 'node:os';
import { median } from './measure.ts';
import { type Figure, figureOf, type Goal, type Limit, type Scenario } from './scenario.ts';
import type { Answer } from './tasks.ts';

type Answers = ReadonlyMap<string, readonly Answer[]>;

export interface SizeResult {
  readonly rows: number;
  readonly results: readonly { readonly scenario: Scenario; readonly answers: Answers }[];
}

const NAMES: Record<Figure, string> = { wall: 'wall', node: 'CPU of Node', servers: 'CPU of Node and mongod' };
/** Scenarios whose run is held to these limits of memory. */
const HELD = new Set(['first-import', 'night', 'every-row']);
/** What a run may hold in memory: the most rows, and MB. */
const MEMORY = [
  { rows: 1_000_000, most: 256 },
  { rows: 5_000_000, most: 400 },
];

/** One scenario in a few lines, for the terminal. */
export function describe(scenario: Scenario, answers: Answers): string {
  const lines = [...answers].map(([side, list]) => `  ${side.padEnd(26)}${columns(list).join('  ')}`);
  const verdicts = [
    ...scenario.goals.map((goal) => judged(goal, answers)),
    ...(scenario.limits ?? []).map((limit) => limited(limit, answers)),
  ];
  return [scenario.title, ...lines, ...verdicts.map(({ text }) => `  → ${text}`)].join('\n');
}

/** The report of all sizes as Markdown; the greatest size in full, the others as growth. */
export function render(sizes: readonly SizeResult[], runs: number): string {
  const main = sizes.at(-1) as SizeResult;
  return [
    '# Speed',
    '',
    `Written by \`npm run bench -- --rows ${main.rows}\`: medians of ${runs} turn${runs === 1 ? '' : 's'}, each scenario beside its floor and its peers in the same run, on servers of the bench's own (one mongod, one Redis, embedded, on this machine's disk).`,
    `${main.rows.toLocaleString('en')} rows. ${machine()}`,
    '',
    '## What was to be reached',
    '',
    '| scenario | goal | found | reached |',
    '| --- | --- | --- | --- |',
    ...main.results.flatMap(({ scenario, answers }) => verdicts(scenario, answers)),
    ...memoryVerdicts(main),
    '',
    '## Every scenario',
    '',
    'Seconds; CPU of Node, mongod and Redis apart (from /proc); highest memory of the Node process in MB (VmHWM).',
    '',
    ...main.results.flatMap(({ scenario, answers }) => section(scenario, answers)),
    ...growth(sizes),
  ].join('\n');
}

function machine(): string {
  const [cpu] = cpus();
  return `${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 1e9)} GB, Linux ${release()}, Node ${process.version}; load average when it ended: ${loadavg()[1]?.toFixed(1)} (with more than the bench itself at work, wall times are worth less than CPU).`;
}

function seconds(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(2) : value.toFixed(3);
}

function medianOf(answers: Answers, side: string, figure: Figure): number {
  return median((answers.get(side) ?? []).map((answer) => figureOf(answer, figure)));
}

function columns(list: readonly Answer[]): string[] {
  const of = (pick: (answer: Answer) => number) => median(list.map(pick));
  const times = (answer: Answer) => answer.times ?? 1;
  return [
    `${seconds(of((answer) => answer.wall * times(answer)))} s`,
    `node ${seconds(of((answer) => answer.node * times(answer)))}`,
    `mongod ${seconds(of((answer) => answer.mongod * times(answer)))}`,
    `redis ${seconds(of((answer) => answer.redis * times(answer)))}`,
    `${Math.max(...list.map(({ peak }) => peak)).toFixed(0)} MB`,
  ];
}

interface Verdict {
  readonly goal: string;
  readonly found: string;
  readonly reached: boolean;
  readonly text: string;
}

function judged({ ours, theirs, figure, most, least }: Goal, answers: Answers): Verdict {
  const ratio = medianOf(answers, ours, figure) / medianOf(answers, theirs, figure);
  const factor = least === undefined ? ratio : 1 / ratio;
  const reached = least === undefined ? ratio <= (most as number) : factor >= least;
  const goal =
    least === undefined
      ? `≤ ${most} × ${theirs}, ${NAMES[figure]}`
      : `≥ ${least} × faster than ${theirs}, ${NAMES[figure]}`;
  const found = `${factor.toFixed(factor < 10 ? 2 : 0)} ×${least === undefined ? '' : ' faster'}`;
  return { goal, found, reached, text: `${goal}: ${found} ${reached ? 'reached' : 'NOT reached'}` };
}

function limited({ side, figure, unit, most }: Limit, answers: Answers): Verdict {
  const value = median((answers.get(side) ?? []).map(({ figures }) => figures?.[figure] ?? Number.NaN));
  const goal = `${figure} ≤ ${most} ${unit}`;
  const found = `${value.toFixed(1)} ${unit}`;
  return {
    goal,
    found,
    reached: value <= most,
    text: `${goal}: ${found} ${value <= most ? 'reached' : 'NOT reached'}`,
  };
}

function verdicts(scenario: Scenario, answers: Answers): string[] {
  const all = [
    ...scenario.goals.map((goal) => judged(goal, answers)),
    ...(scenario.limits ?? []).map((limit) => limited(limit, answers)),
  ];
  return all.map(
    ({ goal, found, reached }) => `| ${scenario.title} | ${goal} | ${found} | ${reached ? 'yes' : '**no**'} |`,
  );
}

function memoryVerdicts({ rows, results }: SizeResult): string[] {
  const limit = MEMORY.find((one) => rows <= one.rows);
  if (!limit) return [];
  return results
    .filter(({ scenario }) => HELD.has(scenario.name))
    .map(({ scenario, answers }) => {
      const peak = Math.max(...(answers.get('Muster') ?? []).map((answer) => answer.peak));
      return `| Peak memory of Node, ${scenario.title.toLowerCase()} | ≤ ${limit.most} MB at ${limit.rows.toLocaleString('en')} rows | ${peak.toFixed(0)} MB | ${peak <= limit.most ? 'yes' : '**no**'} |`;
    });
}

function section(scenario: Scenario, answers: Answers): string[] {
  const rows = [...answers].map(([side, list]) => {
    const cells = columns(list).map((cell) => cell.replace(/^[a-z]+ | s$| MB$/g, ''));
    return `| ${side} | ${cells.join(' | ')} |`;
  });
  const stages = stagesOf(answers);
  return [
    `### ${scenario.title}`,
    '',
    '| | wall | Node | mongod | Redis | MB |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    ...rows,
    '',
    ...(stages ? [stages, ''] : []),
    ...(scenario.note ? [scenario.note, ''] : []),
  ];
}

function stagesOf(answers: Answers): string | undefined {
  const list = answers.get('Muster')?.flatMap(({ stages }) => (stages ? [stages] : [])) ?? [];
  const names = Object.keys(list[0] ?? {});
  if (names.length === 0) return undefined;
  return `Stages of Muster: ${names.map((name) => `${name} ${seconds(median(list.map((stages) => stages[name] ?? 0)))} s`).join(', ')}.`;
}

function growth(sizes: readonly SizeResult[]): string[] {
  if (sizes.length < 2) return [];
  const main = sizes.at(-1) as SizeResult;
  const lines = main.results
    .filter(({ scenario }) => scenario.growth)
    .map(({ scenario }) => {
      const cells = sizes.map(({ rows, results }) => {
        const found = results.find((result) => result.scenario.name === scenario.name);
        const wall = found ? medianOf(found.answers, scenario.growth as string, 'wall') : Number.NaN;
        return `${seconds(wall)} s (${((wall / rows) * 1e6).toFixed(2)})`;
      });
      return `| ${scenario.title} | ${cells.join(' | ')} |`;
    });
  return [
    '## Growth',
    '',
    'Wall seconds, and microseconds a row of the file behind them: where they do not grow from left to right, it is linear or better. Links and changed documents are capped at 100,000 learners.',
    '',
    `| scenario | ${sizes.map(({ rows }) => `${rows.toLocaleString('en')} rows`).join(' | ')} |`,
    `| --- | ${sizes.map(() => '---:').join(' | ')} |`,
    ...lines,
    '',
  ];
}
