import { hkdfSync } from 'node:crypto';
import type { Picking } from '../../../../src/feed/rows/picking.ts';

/** The rules of `Splitter` as plainly as they can be put: one byte after the other, over the whole text. */
export function splitModel(text: Buffer, delimiter: number) {
  const bytes = text.toString('latin1');
  const comma = String.fromCharCode(delimiter);
  const rows: { position: number; text: string }[] = [];
  let row = 0;
  let at = 0;
  let quoted = false;
  let cellStart = true;
  while (at < bytes.length) {
    if (quoted) {
      if (bytes.startsWith('""', at)) at += 2;
      else quoted = bytes[at++] !== '"';
    } else if (bytes[at] === '\r' || bytes[at] === '\n') {
      rows.push({ position: row, text: bytes.slice(row, at) });
      at += bytes.startsWith('\r\n', at) ? 2 : 1;
      row = at;
      cellStart = true;
    } else {
      quoted = cellStart && bytes[at] === '"';
      cellStart = bytes[at] === comma;
      at++;
    }
  }
  if (row < at) rows.push({ position: row, text: bytes.slice(row) });
  return { rows, openQuote: quoted };
}

const MASK = (1n << 64n) - 1n;

/** What the hash of a row is of: the picked cells, each with its delimiter, or the row. */
export function pickModel(row: string, comma: string, { cells, columns }: Picking): { bytes: Buffer; picked: boolean } {
  const parts: string[] = [];
  const cell = new RegExp(`(?:"(?:[^"]|"")*"|(?!")[^${comma}]*)(?=${comma}|$)`, 'y');
  let sound = true;
  for (let at = 0; sound && at <= row.length; at = cell.lastIndex + 1) {
    cell.lastIndex = at;
    const found = cell.exec(row);
    sound = found !== null;
    if (found) parts.push(found[0]);
  }
  const picked = sound && parts.length === cells && columns.length > 0 && columns.length < cells && row.length <= 4096;
  const text = picked ? columns.map((column) => `${parts[column]}${comma}`).join('') : row;
  return { bytes: Buffer.from(text, 'latin1'), picked };
}

/** The row hash by its definition, as 'high/low'. */
export function hashModel(row: Uint8Array, key: Uint8Array, picked = false): string {
  const words = Buffer.from(hkdfSync('sha256', key, '', 'muster row hash 2', 268 * 4));
  const [low, high] = [0, 1].map((pass) => {
    const multiplier = words.readBigUInt64LE(1056 + 8 * pass) | 1n;
    let state = words.readBigUInt64LE(1040 + 8 * pass) + BigInt(row.length) + (picked ? 1n << 32n : 0n);
    for (let block = 0; block === 0 || block < row.length; block += 1024) {
      const padded = Buffer.alloc(1024);
      padded.set(row.subarray(block, block + 1024));
      for (let group = 0; group < Math.min(1024, row.length - block); group += 16) {
        const sum = (word: number) =>
          BigInt((padded.readUInt32LE(group + 4 * word) + words.readUInt32LE(group + 16 * pass + 4 * word)) % 2 ** 32);
        state += sum(0) * sum(2) + sum(1) * sum(3);
      }
      const product = ((state & MASK) * multiplier) & MASK;
      state = ((product << 32n) | (product >> 32n)) & MASK;
    }
    return scramble(Number(state & 0xffffffffn));
  }) as [number, number];
  return `${high}/${low}`;
}

function scramble(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
