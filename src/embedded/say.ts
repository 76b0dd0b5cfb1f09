/** Where the embedded servers say what they do. */
export interface Say {
  /** One line about a step. */
  step(text: string): void;
  /** How far a download is, in bytes; `total` is undefined where the source does not say. */
  progress(what: string, done: number, total?: number): void;
}

export const silent: Say = { step: () => {}, progress: () => {} };

const BAR = 24;

/** Says it on standard error: a bar that moves on a terminal, a line each tenth (or 10 MB) elsewhere. */
export function sayOn(stream: NodeJS.WriteStream = process.stderr): Say {
  let open = false;
  let lastTenth = -1;
  const endBar = () => {
    if (open) stream.write('\n');
    open = false;
    lastTenth = -1;
  };
  return {
    step(text) {
      endBar();
      stream.write(`${text}\n`);
    },
    progress(what, done, total) {
      const share = total === undefined || total === 0 ? undefined : Math.min(1, done / total);
      const figure = `${megabytes(done)}${share === undefined ? '' : ` of ${megabytes(total ?? 0)}`} MB`;
      if (stream.isTTY) {
        const filled = Math.round((share ?? 0) * BAR);
        const bar = share === undefined ? '' : `[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] `;
        stream.write(`\r${what} ${bar}${figure}`);
        open = true;
      } else {
        const tenth = Math.floor(share === undefined ? done / 10_000_000 : share * 10);
        if (tenth !== lastTenth) stream.write(`${what} ${figure}\n`);
        lastTenth = tenth;
      }
      if (share === 1 && open) endBar();
    },
  };
}

function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(1);
}
