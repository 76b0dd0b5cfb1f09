import { accessSync, constants, mkdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ServerMissing } from '../errors.ts';
import type { Say } from '../say.ts';

/** Where and how a binary is looked for. */
export interface Search {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly say: Say;
}

/** One place of the search; undefined = not there. Places are asked in order. */
export type Place = (search: Search) => Promise<string | undefined> | string | undefined;

export async function firstOf(search: Search, places: readonly Place[]): Promise<string | undefined> {
  for (const place of places) {
    const found = await place(search);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The binary that a variable names. @throws {ServerMissing} where it names no program: falling through would surprise. */
export function namedBy(variable: string): Place {
  return ({ env }) => {
    const path = env[variable];
    if (path === undefined || path === '') return undefined;
    if (isExecutable(path)) return path;
    throw new ServerMissing(
      `${variable} names ${path}, which is not an executable file, so no server was started. Correct or unset ${variable}.`,
    );
  };
}

export function onPath(...names: readonly string[]): Place {
  return ({ env }) => {
    const directories = (env.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
    return names.flatMap((name) => directories.map((directory) => join(directory, name))).find(isExecutable);
  };
}

/** `~/.cache/muster`, or below `XDG_CACHE_HOME`. */
export function cacheDirectory({ env }: Pick<Search, 'env'>): string {
  const cache = join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'muster');
  mkdirSync(cache, { recursive: true });
  return cache;
}

/** A binary fetched earlier; its file name holds its version, so that a newer Muster looks for a newer one. */
export function inCache(fileName: string): Place {
  return (search) => {
    const path = join(cacheDirectory(search), fileName);
    return isExecutable(path) ? path : undefined;
  };
}
