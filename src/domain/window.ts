import type { Window } from './learner.ts';

export function isOpen(window: Window, now: Date): boolean {
  return (window.from === undefined || window.from <= now) && (window.until === undefined || now < window.until);
}

/** The same moments of time, as a sorted list of disjoint windows that do not touch. */
export function unite(windows: readonly Window[]): Window[] {
  const sorted = windows
    .filter(({ from, until }) => from === undefined || until === undefined || from < until)
    .sort((a, b) => (a.from?.getTime() ?? -Infinity) - (b.from?.getTime() ?? -Infinity));
  const united: Window[] = [];
  for (const next of sorted) {
    const last = united.at(-1);
    if (!last || (last.until !== undefined && next.from !== undefined && last.until < next.from)) united.push(next);
    else if (last.until !== undefined && (next.until === undefined || last.until < next.until)) {
      united[united.length - 1] = window(last.from, next.until);
    }
  }
  return united;
}

/** Whether every moment of `inner` lies in `outer`. Both as `unite` gives them. */
export function covers(outer: readonly Window[], inner: readonly Window[]): boolean {
  return sameWindows(unite([...outer, ...inner]), outer);
}

export function sameWindows(a: readonly Window[], b: readonly Window[]): boolean {
  return a.length === b.length && a.every((one, at) => sameWindow(one, b[at] as Window));
}

export function sameWindow(a: Window, b: Window): boolean {
  return a.from?.getTime() === b.from?.getTime() && a.until?.getTime() === b.until?.getTime();
}

/** A window without keys for open sides. */
export function window(from: Date | undefined, until: Date | undefined): Window {
  return { ...(from && { from }), ...(until && { until }) };
}
