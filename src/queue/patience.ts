/** How long Redis may take to answer, ms: what is asked of it is a courtesy. */
const PATIENCE = 2_000;

/** Rejects after `PATIENCE`: a Redis that takes no bytes answers nothing, ever. */
export async function withPatience<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE} ms`)), PATIENCE);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
