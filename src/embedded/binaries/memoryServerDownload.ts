/**
 * Downloads mongod with mongodb-memory-server into a directory (the argument) and tells of it on standard output, a
 * JSON document a line: `{ done, total }` in bytes, at last `{ path }` or `{ failed }`. A process of its own, so that it can be ended
 * where the network swallows packets, and since the library takes its settings from the environment.
 */
import { DryMongoBinary } from 'mongodb-memory-server-core/lib/util/DryMongoBinary.js';
import { MongoBinaryDownload } from 'mongodb-memory-server-core/lib/util/MongoBinaryDownload.js';

class Telling extends MongoBinaryDownload {
  override printDownloadProgress(chunk: { length: number }): void {
    this.dlProgress.current += chunk.length;
    tell({ done: this.dlProgress.current, total: this.dlProgress.length });
  }
}

const [downloadDir = ''] = process.argv.slice(2);
try {
  const options = await DryMongoBinary.generateOptions({ downloadDir });
  tell({ path: await new Telling({ ...options, downloadDir }).getMongodPath() });
} catch (error) {
  tell({ failed: (error as Error).message });
}

function tell(fact: object): void {
  process.stdout.write(`${JSON.stringify(fact)}\n`);
}
