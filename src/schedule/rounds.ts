export interface Rounds {
  /** Begins a round; while one is under way, that one is it. Never rejects. */
  begin(): Promise<void>;
  /** Begins no more, tells the round under way to be short, and waits for its end. */
  stop(): Promise<void>;
}

/** Work that is done over and over, one round at a time, and that the next round makes up for where one fails. */
export function roundsOf(work: (stopping: AbortSignal) => Promise<unknown>, failed: (error: Error) => void): Rounds {
  const stopping = new AbortController();
  let round: Promise<void> | undefined;
  return {
    begin() {
      if (stopping.signal.aborted) return round ?? Promise.resolve();
      round ??= work(stopping.signal)
        .then(() => undefined, failed)
        .finally(() => {
          round = undefined;
        });
      return round;
    },
    async stop() {
      stopping.abort();
      await round;
    },
  };
}

/** A round now, and one whenever so many ms have passed and none is under way. */
export function every(ms: number, ...[work, failed]: Parameters<typeof roundsOf>): Pick<Rounds, 'stop'> {
  const rounds = roundsOf(work, failed);
  const timer = setInterval(() => void rounds.begin(), ms);
  void rounds.begin();
  return {
    async stop() {
      clearInterval(timer);
      await rounds.stop();
    },
  };
}
