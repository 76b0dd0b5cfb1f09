import { createReadStream } from 'node:fs';
import Papa from 'papaparse';
import type { Cast } from '../cast.ts';
import { peakMemory } from '../measure.ts';
import type { Answer } from '../tasks.ts';

/** Floor: papaparse streaming over the file, every row handed out and dropped. */
export async function papaparse(cast: Cast, { file }: { file: string }): Promise<Answer> {
  const meter = cast.meter();
  let rows = 0;
  await meter.time(
    () =>
      new Promise<void>((resolve, reject) => {
        Papa.parse(createReadStream(file, { encoding: 'utf8', highWaterMark: 1024 * 1024 }), {
          step: () => {
            rows += 1;
          },
          complete: () => resolve(),
          error: reject,
        });
      }),
  );
  return { ...meter.costAlone, peak: peakMemory(), figures: { rows } };
}
