// The rooms of the architecture and who may import whom; `npm run layers` checks the table.
const rooms = {
  domain: [],
  settings: ['domain'],
  telemetry: ['settings'],
  feed: ['domain', 'settings'],
  store: ['domain', 'settings'],
  queue: ['domain', 'store', 'settings', 'telemetry'],
  reconcile: ['domain', 'store', 'settings', 'telemetry'],
  // Says to people what happened to runs: it knows their figures, not how they come about.
  notify: ['domain', 'store', 'settings', 'telemetry'],
  run: ['domain', 'feed', 'store', 'queue', 'reconcile', 'notify', 'settings', 'telemetry'],
  schedule: ['domain', 'run', 'store', 'queue', 'settings', 'telemetry'],
  embedded: ['domain', 'settings'],
  example: ['domain', 'settings'],
  http: ['domain', 'run', 'reconcile', 'store', 'queue', 'feed', 'settings', 'telemetry', 'schedule'],
  cli: [
    'domain',
    'run',
    'reconcile',
    'store',
    'queue',
    'feed',
    'settings',
    'telemetry',
    'schedule',
    'notify',
    'embedded',
    'example',
    'http',
  ],
};
const onlyIn = (name, pkg, allowed) => ({
  name,
  severity: 'error',
  from: { path: '^(src|jobs)/', pathNot: allowed },
  to: { dependencyTypes: ['npm', 'npm-dev'], path: `node_modules/(${pkg})/` },
});
module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: { path: '^(src|jobs)/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    ...Object.entries(rooms).map(([room, may]) => ({
      name: `room-${room}`,
      severity: 'error',
      from: { path: `^src/${room}/` },
      to: {
        path: '^(src|jobs|test|bench)/',
        pathNot: `^src/(${[room, ...may].join('|')})/|${room === 'cli' ? '^jobs/' : '^$'}`,
      },
    })),
    { name: 'room-jobs', severity: 'error', from: { path: '^jobs/' }, to: { path: '^(test|bench)/' } },
    {
      name: 'domain-is-pure',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: { dependencyTypes: ['npm', 'core'] },
    },
    onlyIn('bullmq-in-queue', 'bullmq', '^src/queue/'),
    onlyIn('mongoose-in-store', 'mongoose|mongodb', '^src/store/'),
    onlyIn('nodemailer-in-notify', 'nodemailer', '^src/notify/'),
    onlyIn('openid-in-http', 'openid-client|oauth4webapi', '^src/http/'),
    onlyIn('papaparse-in-feed', 'papaparse', '^src/feed/'),
    { name: 'not-to-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: 'src/feed/rows/assembly' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    parser: 'swc',
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
