import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Is a process of this id there? A zombie is not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return !/^State:\s+Z/m.test(procFile(pid, 'status') ?? '');
}

/** Sends a signal that is meant to end a process. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended already, which is what was wanted.
  }
}

/** What tells this process from a later one of the same id; empty where the system does not say. */
export function startOf(pid: number): string {
  const stat = procFile(pid, 'stat');
  // Field 22; the name in field 2 may hold spaces and brackets, so the count starts behind its last bracket.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** The command line of a process; empty where it is gone. */
export function commandOf(pid: number): string {
  const fromProc = procFile(pid, 'cmdline');
  if (fromProc !== undefined) return fromProc.replaceAll('\0', ' ');
  try {
    return execFileSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' });
  } catch {
    return '';
  }
}

function procFile(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return undefined;
  }
}
