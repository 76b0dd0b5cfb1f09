import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, test } from 'vitest';
import { locate, sha256Of, sourceFile, spool } from '../../../../src/feed/sources/file.ts';

const folder = mkdtempSync(join(tmpdir(), 'muster-source-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('sources', () => {
  test('a file that is not there, or no file, is refused with its path', async () => {
    await expect(sourceFile(join(folder, 'none.csv'))).rejects.toThrow(
      `${folder}/none.csv does not exist. Nothing was changed.`,
    );
    await expect(sourceFile(folder)).rejects.toThrow('is not a file');
    await expect(locate({ kind: 'upload' }, folder)).rejects.toThrow('muster import FILE --feed NAME');
  });

  test('a directory stands for its newest file that fits the pattern', async () => {
    const inbox = join(folder, 'inbox');
    mkdirSync(inbox);
    for (const [name, day] of [
      ['hr-1.csv', 1],
      ['hr-2.csv', 3],
      ['hr-3.csv', 2],
      ['hr-4.txt', 9],
      ['other.csv', 9],
    ] as const) {
      writeFileSync(join(inbox, name), name);
      utimesSync(join(inbox, name), day, day);
    }
    expect((await locate({ kind: 'directory', path: 'inbox', pattern: 'hr-?.csv' }, folder)).name).toBe('hr-2.csv');
    expect((await locate({ kind: 'file', path: 'inbox/hr-1.csv' }, folder)).bytes).toBe(8);
    await expect(locate({ kind: 'directory', path: 'inbox', pattern: 'x*.csv' }, folder)).rejects.toThrow(
      'holds no file like x*.csv',
    );
    await expect(locate({ kind: 'directory', path: 'no', pattern: '*' }, folder)).rejects.toThrow('/no does not exist');
  });

  test('standard input is spooled to a file, which is removed when told so', async () => {
    const file = await spool(Readable.from([Buffer.from('a,b\n'), Buffer.from('1,2\n')]), join(folder, 'spool'));
    expect(file).toMatchObject({ name: 'standard input', bytes: 8 });
    expect(readFileSync(file.path, 'utf8')).toBe('a,b\n1,2\n');
    await file.dispose();
    expect(existsSync(file.path)).toBe(false);
  });

  test('a stream that fails leaves no file behind', async () => {
    const broken = Readable.from(
      (async function* () {
        yield Buffer.from('a');
        throw new Error('cut off');
      })(),
    );
    await expect(spool(broken, join(folder, 'broken'))).rejects.toThrow('cut off');
    const { readdirSync } = await import('node:fs');
    expect(readdirSync(join(folder, 'broken'))).toEqual([]);
  });

  test('a file replaced by another of the same size and time is noticed', async () => {
    const path = join(folder, 'a.csv');
    writeFileSync(path, 'abc');
    utimesSync(path, 5, 5);
    const file = await sourceFile(path);
    writeFileSync(`${path}.new`, 'xyz');
    utimesSync(`${path}.new`, 5, 5);
    renameSync(`${path}.new`, path);
    await expect(sha256Of(file)).rejects.toMatchObject({ code: 'source-changed' });
  });
});
