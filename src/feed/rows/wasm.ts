import type { Arena, Kernel } from './kernel.ts';
import { kernelWasm } from './kernel.wasm.ts';
import { LONGEST_PICKED, PICKING_WORDS } from './picking.ts';
import { SCHEDULE_BYTES } from './schedule.ts';

const PAGE = 64 * 1024;
const STATE_BYTES = 16;
/** The kernel reads up to 64 bytes at once, also at the end of its input. */
const OVERREAD = 64;

/** What is used of the global WebAssembly, whose types @types/node 20 leaves to the DOM library. */
interface WebAssemblyApi {
  validate(code: Uint8Array): boolean;
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}
const { WebAssembly: webAssembly } = globalThis as unknown as { readonly WebAssembly?: WebAssemblyApi };

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  scan(
    input: number,
    filled: number,
    last: number,
    delimiter: number,
    rows: number,
    capacity: number,
    hashed: number,
  ): number;
}

/** The compiled kernel; undefined where this Node.js has no WebAssembly with SIMD, as with `--jitless`. */
const compiled = compile();

function compile(): object | undefined {
  const code = Buffer.from(kernelWasm, 'base64');
  return webAssembly?.validate(code) ? new webAssembly.Module(code) : undefined;
}

/** The SIMD kernel, of assembly/kernel.ts. Its memory: key, state, picking, picked cells, four columns of rows, input. */
export class WasmKernel implements Kernel {
  readonly #delimiter: number;
  readonly #hashed: number;
  readonly #exports: Exports;
  readonly #state: number;
  readonly #columns: number;
  #input: number;
  #bytes = 0;
  #rows = 0;

  /**
   * Undefined where WebAssembly with SIMD does not work. `key` as of `schedule`, without one, rows are not hashed; `picking`
   * as of `pickingWords`.
   */
  static create(delimiter: number, key: Uint32Array | undefined, picking: Uint32Array): WasmKernel | undefined {
    if (!webAssembly || !compiled) return undefined;
    return new WasmKernel(new webAssembly.Instance(compiled).exports as Exports, delimiter, key, picking);
  }

  private constructor(exports: Exports, delimiter: number, key: Uint32Array | undefined, picking: Uint32Array) {
    this.#delimiter = delimiter;
    this.#exports = exports;
    this.#hashed = key ? 1 : 0;
    this.#state = SCHEDULE_BYTES;
    const words = this.#state + STATE_BYTES;
    this.#columns = aligned(words + 4 * PICKING_WORDS + LONGEST_PICKED + OVERREAD);
    this.#input = this.#columns;
    this.#exports.memory.grow(1);
    const memory = new Uint32Array(this.#exports.memory.buffer);
    if (key) memory.set(key);
    memory.set(picking, words / 4);
  }

  arena(bytes: number, rows: number): Arena {
    const { memory } = this.#exports;
    const input = aligned(this.#columns + 4 * 4 * rows);
    const missing = input + bytes + OVERREAD - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
    const { buffer } = memory;
    new Uint8Array(buffer).copyWithin(input, this.#input, this.#input + Math.min(this.#bytes, bytes));
    this.#input = input;
    this.#bytes = bytes;
    this.#rows = rows;
    const column = (index: number) => new Uint32Array(buffer, this.#columns + 4 * index * rows, rows);
    return {
      input: new Uint8Array(buffer, input, bytes),
      state: new Uint32Array(buffer, this.#state, 4),
      start: column(0),
      end: column(1),
      hashLow: column(2),
      hashHigh: column(3),
    };
  }

  scan(filled: number, last: boolean): number {
    const [input, end, columns, rows] = [this.#input, last ? 1 : 0, this.#columns, this.#rows];
    return this.#exports.scan(input, filled, end, this.#delimiter, columns, rows, this.#hashed);
  }
}

function aligned(offset: number): number {
  return Math.ceil(offset / 64) * 64;
}
