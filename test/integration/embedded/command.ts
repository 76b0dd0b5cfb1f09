/**
 * A command of Muster as the embedded servers see it, in a process of its own: it joins the servers of a data directory, prints
 * their addresses as one JSON line, and leaves when its standard input ends.
 */
import { silent } from '../../../src/embedded/say.ts';
import { startEmbedded } from '../../../src/embedded/servers.ts';
import { initiateReplicaSet } from '../../../src/store/replicaSet.ts';

const [dataDir = '', kinds = '', temporaryIn] = process.argv.slice(2);
const servers = await startEmbedded({
  dataDir,
  ...(temporaryIn === undefined ? {} : { ephemeral: true, temporaryIn }),
  need: { mongodb: kinds.includes('mongodb'), redis: kinds.includes('redis') },
  say: silent,
  initiate: initiateReplicaSet,
});
process.stdout.write(`${JSON.stringify({ mongodbUri: servers.mongodbUri, redisUrl: servers.redisUrl })}\n`);
for await (const _ of process.stdin);
await servers.stop();
