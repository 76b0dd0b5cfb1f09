import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..');
/** One bench's own, below node_modules, so that the compiled files find the packages as the built product does. */
const OUT = join(ROOT, 'node_modules', '.cache', 'muster-bench', String(process.pid));

/** Compiles product and bench to plain JavaScript: what is measured runs in Node as shipped, with no loader beside it. */
export function compile(): string {
  process.once('exit', () => rmSync(OUT, { recursive: true, force: true }));
  mkdirSync(OUT, { recursive: true });
  writeFileSync(join(OUT, 'package.json'), '{ "type": "module" }\n');
  const project = join(OUT, 'tsconfig.json');
  const include = ['bench', 'src', 'jobs'].map((folder) => join(ROOT, folder));
  const config = {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: { outDir: OUT, rootDir: ROOT, noCheck: true, typeRoots: [join(ROOT, 'node_modules/@types')] },
    include,
    exclude: [join(ROOT, 'src/feed/rows/assembly')],
  };
  writeFileSync(project, JSON.stringify(config));
  const { status, stdout } = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', project], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`The bench could not be compiled.\n${stdout}`);
  return join(OUT, 'bench');
}
