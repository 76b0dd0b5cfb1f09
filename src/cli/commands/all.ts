import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { addApi } from './api.ts';
import { addChecks } from './checks.ts';
import { addCourses } from './courses.ts';
import { addDemo } from './demo.ts';
import { addDoctor } from './doctor.ts';
import { addExport } from './export.ts';
import { addFeeds } from './feeds.ts';
import { addGroups } from './groups.ts';
import { addImport } from './import.ts';
import { addKeys } from './keys.ts';
import { addLearners } from './learners.ts';
import { addProgress } from './progress.ts';
import { addQueue } from './queue.ts';
import { addReports } from './reports.ts';
import { addRun } from './run.ts';
import { addRuns } from './runs.ts';
import { addService } from './service.ts';
import { addSubenvironments } from './subenvironments.ts';
import { addUsers } from './users.ts';

/** Every command, in the order of the help. */
export const COMMANDS: readonly ((program: Command, cli: Cli) => void)[] = [
  addService,
  addApi,
  addImport,
  addRun,
  addFeeds,
  addRuns,
  addGroups,
  addLearners,
  addCourses,
  addProgress,
  addQueue,
  addReports,
  addExport,
  addSubenvironments,
  addUsers,
  addKeys,
  addChecks,
  addDoctor,
  addDemo,
];
