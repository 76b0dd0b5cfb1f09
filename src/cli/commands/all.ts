import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { addCourses } from './courses.ts';
import { addFeeds } from './feeds.ts';
import { addGroups } from './groups.ts';
import { addImport } from './import.ts';
import { addLearners } from './learners.ts';
import { addRuns } from './runs.ts';

/** Every command, in the order of the help. */
export const COMMANDS: readonly ((program: Command, cli: Cli) => void)[] = [
  addImport,
  addFeeds,
  addRuns,
  addGroups,
  addLearners,
  addCourses,
];
