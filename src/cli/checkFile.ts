import { resolve } from 'node:path';
import type { Cli } from './cli.ts';
import { readText } from './readText.ts';

/** `check FILE`: reads a file of settings, shows them and says that it can be used as `noun`. Throws what `read` throws. */
export function checkFile(
  cli: Cli,
  { path, json, noun }: { path: string; json: boolean | undefined; noun: 'feed' | 'report' },
  read: (text: string, path: string) => { readonly name: string },
): void {
  const settings = read(readText(resolve(cli.directory, path)), path);
  const facts = { name: settings.name, valid: true, settings };
  cli.out.show(json, facts, () => `${path} is a ${noun} that can be used: ${settings.name}.`);
}
