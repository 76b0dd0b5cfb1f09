import { readFileSync } from 'node:fs';

/** The version of the package. */
export function version(): string {
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as { version: string };
      return found.version;
    } catch {
      // One level further up in a build.
    }
  }
  return 'unknown';
}
