// The walls between the rooms: what a room may import. Read by scripts/walls.mjs; each wall has a planted violation in test/house/walls.test.ts.
const { builtinModules } = require('node:module');

/** Any package, and any module of Node. */
const PACKAGES = '(^|/)node_modules/';
const NODE = `^(node:)?(${builtinModules.join('|')})$`;
const ZOD = '(^|/)node_modules/zod/';

/** SDK, CDK and Lambda middleware: the declaration rooms reach none of them, not even through other files. */
const CLOUD =
  '(^|/|^npm:)(@aws-sdk|@smithy|@aws-cdk|aws-cdk|aws-cdk-lib|constructs|@middy|@aws-lambda-powertools)(/|$)';

const DECLARATION_ROOMS = '^(schemas|events|lifecycle|rules)/';

/** Room → the paths that it may import; its own files are always allowed unless `alone` says otherwise. */
const ROOMS = {
  schemas: { may: [ZOD] },
  events: { may: ['^schemas/', ZOD] },
  lifecycle: { may: ['^events/', '^schemas/', ZOD] },
  rules: { may: ['^events/', '^schemas/'] },
  // The embedded ECS and the supervisor keep the same files and tell processes apart in the same way.
  runtime: {
    may: [
      '^rules/',
      '^events/',
      '^lifecycle/',
      '^schemas/',
      '^handlers/',
      '^agent/supervisor-(files|processes)\\.ts$',
      PACKAGES,
      NODE,
    ],
  },
  // On AWS the runner writes its own record, reads its one payload and puts its events by itself; where nobody hands it secrets, it asks.
  agent: {
    may: [
      '^schemas/',
      '^events/',
      ZOD,
      NODE,
      '(^|/)node_modules/@aws-sdk/(client-(dynamodb|s3|eventbridge|secrets-manager)|util-dynamodb)/',
    ],
  },
  // Handlers by path only. Patterns are checked by what the in-process bus uses, before AWS sees them.
  infra: {
    may: [
      '^rules/',
      '^events/',
      '^schemas/',
      '^lifecycle/(ecs-task|user-definition)\\.ts$',
      '^runtime/(matcher|pattern-validity|errors)\\.ts$',
      PACKAGES,
      NODE,
    ],
  },
  // The check of the agent command is one for the runner's room and for who starts a task.
  cli: {
    may: [
      '^agent/agent-command\\.ts$',
      '^console/',
      '^runtime/',
      '^rules/',
      '^events/',
      '^lifecycle/',
      '^schemas/',
      PACKAGES,
      NODE,
    ],
  },
  console: { may: ['^runtime/', '^rules/', '^events/', '^lifecycle/', '^schemas/', PACKAGES, NODE] },
  scripts: {
    may: ['^cli/', '^console/', '^runtime/', '^rules/', '^events/', '^lifecycle/', '^schemas/', PACKAGES, NODE],
  },
  // A benchmark is a world of its own: it wires the reactions to a simulated back end.
  bench: {
    may: ['^handlers/index\\.ts$', '^runtime/', '^rules/', '^events/', '^lifecycle/', '^schemas/', PACKAGES, NODE],
  },
};

/** Where AWS may be talked to. Everywhere else the SDK is no more than a rumour. */
const SDK_PLACES = '^(runtime/aws|infra|test|bench)/|^agent/aws-';

/** The worlds wire handlers to the ports; no other file of the runtime knows a handler. */
const WORLDS = '^runtime/(embedded|simulated)-world\\.ts$';

/** What a handler may take: declarations, and the files of the runtime that have no world in them. */
const HANDLER_MAY = [
  '^rules/',
  '^events/',
  '^lifecycle/',
  '^schemas/',
  '^runtime/(react|ports|errors|outcome|published|run-steps|task-id|worker-steps)\\.ts$',
];

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...Object.entries(ROOMS).map(([room, { may }]) => ({
      name: `${room}-wall`,
      comment: `${room}/ imports something that is not on its list.`,
      severity: 'error',
      from: { path: `^${room}/` },
      to: { pathNot: [`^${room}/`, ...may] },
    })),
    {
      name: 'handlers-wall',
      comment:
        'A handler takes its rule, events, and react with its ports; nothing from a world, an SDK or another handler.',
      severity: 'error',
      from: { path: '^handlers/', pathNot: '^handlers/index\\.ts$' },
      to: { pathNot: HANDLER_MAY },
    },
    {
      name: 'handlers-index-wall',
      comment: 'handlers/index.ts lists the handlers and does nothing else.',
      severity: 'error',
      from: { path: '^handlers/index\\.ts$' },
      to: { pathNot: ['^handlers/', ...HANDLER_MAY] },
    },
    {
      name: 'only-worlds-wire-handlers',
      comment: 'Only a world may import handlers.',
      severity: 'error',
      from: { path: '^runtime/', pathNot: WORLDS },
      to: { path: '^handlers/' },
    },
    {
      name: 'declarations-reach-no-cloud',
      comment: 'Declarations are plain data: no SDK, CDK, middy or Powertools, not even through another file.',
      severity: 'error',
      from: { path: DECLARATION_ROOMS },
      to: { path: CLOUD, reachable: true },
    },
    {
      name: 'declarations-reach-no-node',
      comment: 'Declarations are plain data: no module of Node, not even through another file.',
      severity: 'error',
      from: { path: DECLARATION_ROOMS },
      to: { path: NODE, reachable: true },
    },
    {
      name: 'only-adapters-know-the-sdk',
      comment: "SDK, middy and Powertools stay in runtime/aws, infra, and the runner's own client.",
      severity: 'error',
      from: { pathNot: SDK_PLACES },
      to: { path: CLOUD },
    },
    {
      name: 'product-never-imports-tests',
      comment: 'Tests depend on the product, never the other way round.',
      severity: 'error',
      from: { pathNot: '^test/' },
      to: { path: '^test/' },
    },
    {
      name: 'no-cycles',
      comment: 'No cycles, type-only imports included.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'resolvable',
      comment: 'The import leads nowhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    // TypeScript 7 has no JavaScript API: without this parser no TypeScript file is read at all.
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
