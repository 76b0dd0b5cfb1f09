import type { ResultView } from '../run/views/resultView.ts';
import { listed } from './runText.ts';

export function resultText({ run, memberships, subscriptions, skipped, setAside }: ResultView): string {
  return [
    `Run ${run}: memberships ${listed(memberships)}; subscriptions ${listed({ ...subscriptions })}.`,
    ...skippedLines(skipped),
    ...(setAside > 0 ? [`${setAside} could not be applied and are kept for a retry.`] : []),
  ].join('\n');
}

export function skippedLines(skipped: ResultView['skipped']): string[] {
  return skipped.map(({ learner, course, through }) => {
    const still = through.length > 0 ? `${through.join(', ')} still gives it` : 'a direct grant still gives it';
    return `Not purged: ${course} of ${learner}, since ${still}.`;
  });
}
