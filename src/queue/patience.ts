/** How long Redis may take to answer, ms: nothing that is asked of it is lost, the database knows it all. */
const PATIENCE = 2_000;

/** Rejects after so many ms: a Redis that takes no bytes answers nothing, ever. */
export async function withPatience<T>(work: Promise<T>, patience = PATIENCE): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${patience} ms`)), patience);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
