import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { ServerFailed } from './errors.ts';
import { sendSignal } from './process.ts';

/**
 * The shell that stands between the keeper and one server. It reads from a pipe whose other end only the keeper holds:
 * end of file means that the keeper is gone, by whatever kind of end, so the server is killed. $1 is the log file,
 * $2 a directory to remove after that (empty: none), the rest the server's command. The first line out is its pid.
 * `read` and not `cat`: a builtin leaves no process behind when the subshell is ended.
 */
const WATCH = `
log=$1; sweep=$2; shift 2
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
server=$!
echo "$server"
(
  exec >/dev/null
  while read -r _ <&3; do :; done
  trap '' TERM
  kill -KILL "$server"
  while kill -0 "$server"; do sleep 0.05; done
  if [ -n "$sweep" ]; then rm -rf "$sweep"; fi
) 2>/dev/null &
watch=$!
wait "$server"; status=$?
kill "$watch" 2>/dev/null
wait "$watch" 2>/dev/null
exit "$status"
`;

export interface Watched {
  /** The server's own process id. */
  readonly pid: number;
  /** Settles when the server has ended; the text says how. */
  readonly ended: Promise<string>;
  /** Asks the server to end; after 20 s it is killed. */
  stop(): Promise<void>;
}

const PATIENCE_MS = 20_000;

/** Starts a server that lives no longer than this process. @throws {ServerFailed} where no shell can be started. */
export async function watch(command: readonly string[], log: string, sweep?: string): Promise<Watched> {
  const shell = spawn('/bin/sh', ['-c', WATCH, 'muster-watch', log, sweep ?? '', ...command], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = new Promise<string>((resolve) => {
    shell.once('error', (error) => resolve(error.message));
    shell.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
  });
  shell.stdin.on('error', () => {});
  const lines = createInterface(shell.stdout);
  const first = await Promise.race([once(lines, 'line'), ended]);
  if (typeof first === 'string') throw new ServerFailed(`/bin/sh did not start ${command[0]}: ${first}.`);
  const pid = Number(first[0]);
  let over = false;
  const gone = ended.then((how) => {
    over = true;
    // The shell may have been killed by itself: its server must not outlive it.
    sendSignal(pid, 'SIGKILL');
    return how;
  });
  return {
    pid,
    ended: gone,
    async stop() {
      if (!over) sendSignal(pid, 'SIGTERM');
      const patience = setTimeout(() => sendSignal(pid, 'SIGKILL'), PATIENCE_MS);
      await gone;
      clearTimeout(patience);
    },
  };
}
