import type { RemovalOption } from '../domain/change.ts';
import type { RemovalPreview } from '../run/removalPreview.ts';
import type { ResultView } from '../run/views/resultView.ts';
import { listed } from './runText.ts';
import { counted } from './table.ts';

export function resultText({ run, memberships, subscriptions, skipped, setAside }: ResultView): string {
  return [
    `Run ${run}: memberships ${listed(memberships)}; subscriptions ${listed({ ...subscriptions })}.`,
    ...skippedLines(skipped),
    ...(setAside > 0 ? [`${setAside} could not be applied and are kept for a retry.`] : []),
  ].join('\n');
}

/** `said`: what has become of them. */
export function skippedLines(skipped: ResultView['skipped'], said = 'Not purged'): string[] {
  return skipped.map(({ learner, course, through }) => {
    const still = through.length > 0 ? `${through.join(', ')} still gives it` : 'a direct grant still gives it';
    return `${said}: ${course} of ${learner}, since ${still}.`;
  });
}

/** `taken`: what would be taken from whom, such as `3 learners would leave the group`. */
export function previewText(
  taken: string,
  { courses, results, counts, stay, skipped }: Omit<RemovalPreview, 'skipped'> & Pick<ResultView, 'skipped'>,
  option: RemovalOption,
): string {
  const deleted = option === 'purge' ? ` ${counted(results, 'result')} would be deleted.` : '';
  const others = stay - skipped.length;
  return [
    `${taken}; subscriptions to ${counted(courses, 'course')}: ${listed({ ...counts })}.${deleted}`,
    ...skippedLines(skipped, 'Stays'),
    ...(others > 0 ? [`… and ${others} more stay.`] : []),
  ].join('\n');
}
