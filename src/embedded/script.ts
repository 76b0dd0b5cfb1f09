import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Arguments of node that run a neighbouring script: plain JavaScript from dist, through tsx from a checkout. */
export function scriptBeside(moduleUrl: string, name: string): string[] {
  const extension = extname(moduleUrl);
  const script = fileURLToPath(new URL(`./${name}${extension}`, moduleUrl));
  return extension === '.ts' ? ['--import', createRequire(moduleUrl).resolve('tsx'), script] : [script];
}
