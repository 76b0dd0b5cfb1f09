import type { Command } from 'commander';
import { recordProgress } from '../../run/progress.ts';
import { keyIn } from '../../run/views/key.ts';
import { compare, figuresOf, type ProgressFigures } from '../../run/views/learnerView.ts';
import { readProgress } from '../../run/views/progressView.ts';
import { readCourses } from '../../store/structure.ts';
import type { Cli } from '../cli.ts';
import { type JsonOption, percentage, printsFacts } from '../options.ts';
import { courseOf, learnerOf } from '../references.ts';
import { table } from '../table.ts';

export function addProgress(program: Command, cli: Cli): void {
  const progress = program.command('progress').description('results of learners in their courses');

  printsFacts(
    progress
      .command('record <learner> <course>')
      .description('records a result of a learner in a course, or in one activity of it')
      .requiredOption('--completion <percent>', 'how much is done, 0 to 100', percentage)
      .option('--score <percent>', 'the score, 0 to 100', percentage)
      .option('--activity <name>', 'the result is of this activity of the course')
      .action((learner: string, course: string, options: RecordOptions) => record(cli, learner, course, options)),
    'muster progress record 104711 fire --completion 50 --score 80 --activity Quiz',
  );
  printsFacts(
    progress
      .command('show <learner> [course]')
      .description("shows a learner's results, of one course or of all")
      .action((learner: string, course: string | undefined, { json }: JsonOption) => show(cli, learner, course, json)),
    'muster progress show 104711',
  );
}

interface RecordOptions extends JsonOption {
  readonly completion: number;
  readonly score?: number;
  readonly activity?: string;
}

async function record(
  cli: Cli,
  learnerText: string,
  courseText: string,
  { json, ...result }: RecordOptions,
): Promise<void> {
  const { services, store } = await cli.open();
  const [learner, course] = [await learnerOf(store, learnerText), await courseOf(store, courseText)];
  const doc = await recordProgress(services, { learner: learner.id, course: course.id, ...result });
  const view = { course: course.externalId ?? `id:${course.id}`, ...(figuresOf(doc) as ProgressFigures) };
  cli.out.show(json, view, () => `Recorded: ${view.course} is ${view.completion} % done${scoreText(view.score)}.`);
}

async function show(
  cli: Cli,
  learnerText: string,
  courseText: string | undefined,
  json: boolean | undefined,
): Promise<void> {
  const { store } = await cli.open();
  const learner = await learnerOf(store, learnerText);
  const only = courseText === undefined ? undefined : (await courseOf(store, courseText)).id;
  const courses = await readCourses(store);
  const results = [...((await readProgress(store, [learner.id])).get(learner.id) ?? [])]
    .filter(([course]) => only === undefined || course === only)
    .map(([course, doc]) => ({ course: keyIn(courses, course), ...(figuresOf(doc) as ProgressFigures) }))
    .sort((a, b) => compare(a.course, b.course));
  cli.out.show(json, results, () =>
    results.length === 0
      ? 'No result.'
      : table(
          ['course', 'completion', 'score', 'activities'],
          results.map(({ course, completion, score, activities }) => [
            course,
            `${completion} %`,
            score,
            activities.map((one) => `${one.name} ${one.completion ?? 0} %${scoreText(one.score ?? null)}`).join('; '),
          ]),
        ),
  );
}

function scoreText(score: number | null): string {
  return score === null ? '' : `, score ${score}`;
}
