/**
 * Writes one night's file of the example company:
 * npx tsx bench/generate.ts --learners 5000 --night 2 --seed 1 [--groups 50] [--accident half] [--variant shuffled] --out FILE
 */
import { parseArgs } from 'node:util';
import { ACCIDENTS, type AccidentName } from '../src/example/accidents.ts';
import { makeCompany } from '../src/example/company.ts';
import type { Variant } from '../src/example/sheet.ts';
import { writeNight } from '../src/example/write.ts';

const VARIANTS: readonly Variant[] = ['shuffled', 'edit-outside'];

const { values } = parseArgs({
  options: {
    learners: { type: 'string', default: '5000' },
    groups: { type: 'string' },
    night: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    accident: { type: 'string' },
    variant: { type: 'string' },
    out: { type: 'string', default: '-' },
  },
});

function whole(option: string, text: string, least: number): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= least) return number;
  return refuse(`--${option} ${text} is not a whole number of at least ${least}.`);
}

function oneOf<T extends string>(option: string, text: string | undefined, names: readonly T[]): T | undefined {
  if (text === undefined || names.includes(text as T)) return text as T | undefined;
  return refuse(`--${option} ${text} is none of ${names.join(', ')}.`);
}

function refuse(fact: string): never {
  process.stderr.write(`${fact} Nothing was written.\n`);
  process.exit(2);
}

const company = makeCompany({
  seed: whole('seed', values.seed, 0),
  learners: whole('learners', values.learners, 1),
  ...(values.groups === undefined ? {} : { groups: whole('groups', values.groups, 12) }),
});
const night = {
  night: whole('night', values.night, 1),
  variant: oneOf('variant', values.variant, VARIANTS),
  accident: oneOf('accident', values.accident, Object.keys(ACCIDENTS) as AccidentName[]),
};
const began = performance.now();
const { rows, bytes } = await writeNight(values.out === '-' ? process.stdout : values.out, company, night);
const seconds = ((performance.now() - began) / 1000).toFixed(1);
process.stderr.write(`${rows} rows, ${bytes} bytes, ${seconds} s\n`);
