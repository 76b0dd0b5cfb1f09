import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The YAML and JSON files of a directory, by name; examples (`*.example.yaml`) are left out. */
export function* settingsFiles(directory: string): Generator<{ path: string; text: string }> {
  if (!existsSync(directory)) return;
  const names = readdirSync(directory).filter(
    (name) => /\.(ya?ml|json)$/.test(name) && !/\.example\.[a-z]+$/.test(name),
  );
  for (const name of names.sort()) {
    const path = join(directory, name);
    yield { path, text: readFileSync(path, 'utf8') };
  }
}
