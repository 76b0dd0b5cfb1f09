// Compiles kernel.ts and writes ../kernel.wasm.ts, which is committed: running Muster from source needs no compiler.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const here = dirname(fileURLToPath(import.meta.url));
const FLAGS = ['--runtime', 'stub', '--enable', 'simd', '-O3', '--noAssert', '--converge'];

/** The text of kernel.wasm.ts. */
export async function kernelModule() {
  const outputs = new Map();
  const { error, stderr } = await asc.main(['kernel.ts', '--outFile', 'kernel.wasm', '--baseDir', here, ...FLAGS], {
    writeFile: (name, contents) => outputs.set(name, contents),
  });
  if (error) throw new Error(`kernel.ts does not compile: ${stderr.toString()}`, { cause: error });
  const base64 = Buffer.from(outputs.get('kernel.wasm')).toString('base64');
  return `// Made from assembly/kernel.ts by npm run build:wasm.\nexport const kernelWasm =\n  '${base64}';\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(join(here, '../kernel.wasm.ts'), await kernelModule());
}
