import { BASE_MARKER } from '../lifecycle/user-definition.ts';
import type { PortName } from '../schemas/environment.ts';
import { FLEET_TAG, STAGE_TAG } from '../schemas/fleet-names.ts';

/** What a role may do, and why; or may not, whatever else it may. Resources and conditions are as in IAM. */
export interface Grant {
  readonly effect?: 'Deny';
  /** Why; where a resource has a wildcard it is the reason of the acknowledgement too. */
  readonly reason: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

/** ARNs of what the ports stand on. */
export interface Places {
  readonly tableArn: string;
  readonly busArn: string;
  readonly payloadBucketArn: string;
  readonly secretArn: string;
  readonly alarmQueueArn: string;
  readonly schedulesArn: string;
  readonly schedulerRoleArn: string;
  /** Of the rule whose function asks. */
  readonly deadLettersArn?: string;
  /** The rule whose function asks is one that starts runs. Its neighbours stop them and ask about them, by the same port. */
  readonly startsRuns?: boolean;
  /** It is one that stops runs. */
  readonly stopsRuns?: boolean;
  /** It is the one that has machines replaced. Others keep them and let them go, by the same port. */
  readonly replacesMachines?: boolean;
  readonly ecs?: EcsPlaces;
  readonly agentcore?: AgentcorePlaces;
  readonly fleet?: FleetPlaces;
  /** The guardrail that texts must pass, where screening is required. */
  readonly guardrailArn?: string;
  /** The secret with the token of GitHub, where there is one. */
  readonly githubTokenArn?: string;
}

export interface FleetPlaces {
  readonly documentArn: string;
  /** Every machine of the account and region; its tags say whether it is of a fleet of this stage. */
  readonly instancesArn: string;
  readonly stage: string;
  readonly groupArns: readonly string[];
}

export interface AgentcorePlaces {
  /** The runtime, and its endpoint at which sessions are started. */
  readonly runtimeArn: string;
  readonly endpointArn: string;
  /** Every runtime that this stage has had, with its endpoints: one that is made anew has another id behind the same name. */
  readonly runtimesEver: string;
}

export interface EcsPlaces {
  readonly clusterArn: string;
  /** Every revision of the agent's task definition. */
  readonly taskFamilyArn: string;
  /** The family of the clones for users; `:*` behind it is every revision. */
  readonly userFamilyArn: string;
  /** Every task in the cluster. */
  readonly tasksArn: string;
  readonly taskRoleArn: string;
  readonly executionRoleArn: string;
}

/** Port → what a function needs whose rule `uses` it. Every function has `bus` besides. */
export const portGrants: { readonly [Port in PortName]: (places: Places) => readonly Grant[] } = {
  bus: ({ busArn }) => [
    {
      reason: 'Publishes what the reaction returns, as Baton itself and as nobody else.',
      actions: ['events:PutEvents'],
      resources: [busArn],
      conditions: { StringEquals: { 'events:source': 'baton' } },
    },
    {
      reason:
        'Looks at its start whether the bus exists: EventBridge accepts events for a bus that does not, and drops them.',
      actions: ['events:DescribeEventBus'],
      resources: [busArn],
    },
  ],

  tasks: ({ tableArn, alarmQueueArn, schedulesArn, schedulerRoleArn }) => [
    records('Tasks, and the records of their runs, which a move closes.', READ_AND_WRITE, tableArn, ['TASK#', 'RUN#']),
    { reason: 'Sets the alarm clock: up to 15 minutes.', actions: ['sqs:SendMessage'], resources: [alarmQueueArn] },
    {
      reason: 'Sets the alarm clock: beyond 15 minutes. One schedule per task and second, named by them.',
      actions: ['scheduler:CreateSchedule'],
      resources: [schedulesArn],
    },
    {
      reason: 'The schedule rings as the role that may put messages into the alarm queue.',
      actions: ['iam:PassRole'],
      resources: [schedulerRoleArn],
      conditions: { StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' } },
    },
  ],

  slots: ({ tableArn }) => [
    records('Slots: who holds, and who waits.', READ_AND_WRITE, tableArn, ['SLOT#']),
    records('Whether a lease is stale is read from its task.', READ, tableArn, ['TASK#']),
    records('The limit of a repository is as it is configured.', READ, tableArn, ['REPOSITORIES']),
    records('A fleet has as many slots as workers.', READ, tableArn, ['FLEET#']),
  ],

  workers: ({ tableArn }) => [
    records('Whose run each worker has, and who belongs to a fleet.', READ_AND_WRITE, tableArn, ['WORKER#', 'FLEET#']),
  ],

  // B28, B29, B30
  ec2: ({ tableArn, fleet, startsRuns = false, stopsRuns = false }) => {
    if (!fleet) throw new Error('A rule uses the port "ec2" in a deployment without a fleet.');
    return [
      ...(startsRuns || stopsRuns ? sendsCommands(fleet) : []),
      {
        reason:
          'Asks about commands: neither action has a resource (Service Authorization Reference, Systems Manager). Whoever took this role over could read the output of every command of the account and region.',
        actions: ['ssm:GetCommandInvocation', 'ssm:ListCommands'],
        resources: ['*'],
      },
      {
        reason: 'Keeps the machine of a run for as long as it works, and lets one go that is waited for.',
        actions: ['autoscaling:SetInstanceProtection', 'autoscaling:CompleteLifecycleAction'],
        resources: fleet.groupArns,
      },
      looksForMachines,
      asksEc2,
      records('Whose run each worker has.', READ_AND_WRITE, tableArn, ['WORKER#', 'FLEET#']),
    ];
  },

  machines: ({ fleet, replacesMachines = false }) => {
    if (!fleet) throw new Error('A rule uses the port "machines" in a deployment without a fleet.');
    return [
      ...(replacesMachines ? [replacesOnFleets(fleet)] : []),
      {
        reason: 'Keeps machines of the fleets that work, and lets machines begin and go.',
        actions: ['autoscaling:SetInstanceProtection', 'autoscaling:CompleteLifecycleAction'],
        resources: fleet.groupArns,
      },
      looksForMachines,
    ];
  },

  repositories: ({ tableArn }) => [
    records('Which configuration holds for a repository.', READ, tableArn, ['REPOSITORIES']),
  ],

  configurations: ({ tableArn }) => [
    records('Sets configurations of repositories, and removes them.', READ_AND_WRITE, tableArn, ['REPOSITORIES']),
  ],

  runs: ({ tableArn, secretArn }) => [
    records('Run records, and the tokens in them.', READ_AND_WRITE, tableArn, ['RUN#']),
    secret('Run tokens derive from it.', secretArn),
  ],

  payloads: ({ payloadBucketArn, secretArn }) => [
    {
      reason: 'Prompts and inputs of runs, under references that derive from the secret.',
      actions: ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'],
      resources: [`${payloadBucketArn}/payloads/*`],
    },
    {
      reason:
        'Finds what is kept for a task that has ended; and S3 answers a missing object as forbidden to whom may not list, whatever the prefix.',
      actions: ['s3:ListBucket'],
      resources: [payloadBucketArn],
    },
    secret('References derive from it.', secretArn),
  ],

  settings: () => [],
  clock: () => [],

  letters: ({ deadLettersArn }) => [
    {
      reason: 'Puts what no try can handle among the dead letters of its rule.',
      actions: ['sqs:SendMessage'],
      resources: deadLettersArn === undefined ? [] : [deadLettersArn],
    },
  ],

  webhooks: () => [],

  effects: ({ tableArn }) => [
    records(
      'Remembers what was done outside, and forgets what failed.',
      ['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'],
      tableArn,
      ['EFFECT#'],
    ),
  ],

  screening: ({ guardrailArn }) => {
    if (!guardrailArn) throw new Error('A rule uses the port "screening" in a deployment without a guardrail.');
    return [
      {
        reason: 'Has texts judged by the one guardrail of the deployment.',
        actions: ['bedrock:ApplyGuardrail'],
        resources: [guardrailArn],
      },
    ];
  },

  contexts: ({ githubTokenArn }) =>
    githubTokenArn === undefined ? [] : [secret('The token with which GitHub is asked.', githubTokenArn)],

  definitions: ({ tableArn, ecs }) => {
    if (!ecs) throw new Error('A rule uses the port "definitions" in a deployment without ECS.');
    // What a registration is checked against is not documented: the family, or the revision that is yet to be numbered.
    const clones = [ecs.userFamilyArn, `${ecs.userFamilyArn}:*`];
    return [
      records('Which task definitions belong to which user.', READ_AND_WRITE, tableArn, ['TASKDEF#']),
      {
        reason:
          'Registers clones in a family of their own, never in the one that infrastructure writes, and never with its marker.',
        actions: ['ecs:RegisterTaskDefinition'],
        resources: clones,
        conditions: withoutMarker,
      },
      {
        reason: 'Tags clones when it registers them, and none that is there already.',
        actions: ['ecs:TagResource'],
        resources: clones,
        conditions: { StringEquals: { 'ecs:CreateAction': 'RegisterTaskDefinition' }, ...withoutMarker },
      },
      {
        reason: 'Reads the base and the clones; has no resource of its own (Service Authorization Reference, ECS).',
        actions: ['ecs:DescribeTaskDefinition'],
        resources: ['*'],
      },
      {
        reason:
          'Puts superseded clones away. IAM cannot say which: it has neither a resource nor a condition (Service Authorization Reference, ECS). Whoever took this role over could deregister every task definition of the account and region; what runs would go on, and each would have to be registered again.',
        actions: ['ecs:DeregisterTaskDefinition'],
        resources: ['*'],
      },
      passesRunRoles('Clones have the two roles of the base.', ecs),
    ];
  },

  agentcore: ({ tableArn, agentcore, startsRuns = false }) => {
    if (!agentcore) throw new Error('A rule uses the port "agentcore" in a deployment without AgentCore.');
    return [
      ...(startsRuns ? [startsOnAgentcore(agentcore)] : []),
      {
        reason:
          'Stops sessions where they were started, which an earlier deployment may have done at a runtime that is no more: only an answer that is no denial says that they are gone.',
        actions: ['bedrock-agentcore:StopRuntimeSession'],
        resources: [agentcore.runtimesEver],
      },
      records('Signs of life of runs: AgentCore describes no session.', READ, tableArn, ['TASK#', 'RUN#']),
    ];
  },

  ecs: ({ ecs, startsRuns = false }) => {
    if (!ecs) throw new Error('A rule uses the port "ecs" in a deployment without ECS.');
    const inCluster = { ArnEquals: { 'ecs:cluster': ecs.clusterArn } };
    return [
      ...(startsRuns ? startsOnEcs(ecs) : []),
      {
        reason: 'Asks about, and stops, tasks of one cluster; their ids come with them.',
        actions: ['ecs:DescribeTasks', 'ecs:StopTask'],
        resources: [ecs.tasksArn],
        conditions: inCluster,
      },
      {
        reason:
          'Has no resource of its own for Fargate; the condition names the cluster (Service Authorization Reference, ECS).',
        actions: ['ecs:ListTasks'],
        resources: ['*'],
        conditions: inCluster,
      },
    ];
  },
};

const startsOnAgentcore = ({ runtimeArn, endpointArn }: AgentcorePlaces): Grant => ({
  reason: 'Starts sessions of the one runtime, at its one endpoint: AgentCore asks about both ARNs.',
  actions: ['bedrock-agentcore:InvokeAgentRuntime'],
  resources: [runtimeArn, endpointArn],
});

const startsOnEcs = (ecs: EcsPlaces): readonly Grant[] => [
  {
    reason: 'Starts revisions of the base and of its clones, in one cluster.',
    actions: ['ecs:RunTask'],
    resources: [ecs.taskFamilyArn, `${ecs.userFamilyArn}:*`],
    conditions: { ArnEquals: { 'ecs:cluster': ecs.clusterArn } },
  },
  {
    reason: 'Tags tasks of one cluster when it starts them, and none that is there already.',
    actions: ['ecs:TagResource'],
    resources: [ecs.tasksArn],
    conditions: { StringEquals: { 'ecs:CreateAction': 'RunTask' } },
  },
  passesRunRoles('Runs have the two roles of their definition.', ecs),
];

const sendsCommands = (fleet: FleetPlaces): readonly Grant[] => [
  {
    reason:
      'Sends the one document of the fleets, and no other. To end a run is a command too, and IAM does not look at its parameters: whoever stops runs could start some.',
    actions: ['ssm:SendCommand'],
    resources: [fleet.documentArn],
  },
  {
    reason: 'Sends commands to machines of the fleets of this stage, by the tags that their groups give them.',
    actions: ['ssm:SendCommand'],
    resources: [fleet.instancesArn],
    conditions: {
      StringEquals: { [`ssm:resourceTag/${STAGE_TAG}`]: fleet.stage },
      StringLike: { [`ssm:resourceTag/${FLEET_TAG}`]: '*' },
    },
  },
  {
    reason:
      'Cancels commands that nobody waits for: the action has no resource (Service Authorization Reference, Systems Manager). Whoever took this role over could cancel every command of the account and region.',
    actions: ['ssm:CancelCommand'],
    resources: ['*'],
  },
];

const replacesOnFleets = ({ groupArns }: FleetPlaces): Grant => ({
  reason: 'Has machines of the fleets replaced that nobody can prove clean.',
  actions: ['autoscaling:TerminateInstanceInAutoScalingGroup'],
  resources: groupArns,
});

/** What the runner may do beside starting: its own record (checked by the run token), its one payload, its own events. */
export const runnerGrants = ({ tableArn, busArn, payloadBucketArn }: Places): readonly Grant[] => [
  records('Claims, confirms and reports in run records.', ['dynamodb:GetItem', 'dynamodb:UpdateItem'], tableArn, [
    'RUN#',
  ]),
  {
    reason: 'Tells what it does, as an agent and as nobody else.',
    actions: ['events:PutEvents'],
    resources: [busArn],
    conditions: { StringEquals: { 'events:source': 'baton.agent' } },
  },
  {
    reason: 'Reads the one payload whose reference it was given; nobody can guess another.',
    actions: ['s3:GetObject'],
    resources: [`${payloadBucketArn}/payloads/*`],
  },
];

/** Holds where the request brings no marker of a base: that is for infrastructure alone. */
const withoutMarker = { Null: { [`aws:RequestTag/${BASE_MARKER}`]: 'true' } };

/** Exactly the two, and to ECS tasks alone. */
const passesRunRoles = (reason: string, { taskRoleArn, executionRoleArn }: EcsPlaces): Grant => ({
  reason,
  actions: ['iam:PassRole'],
  resources: [taskRoleArn, executionRoleArn],
  conditions: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
});

const looksForMachines: Grant = {
  reason: 'Looks whether a group has a machine; has no resource (Service Authorization Reference, Auto Scaling).',
  actions: ['autoscaling:DescribeAutoScalingInstances'],
  resources: ['*'],
};

/** That its group has a machine no more is no end of what runs on it. */
const asksEc2: Grant = {
  reason:
    'Asks whether a machine has ended that nobody reaches; has no resource (Service Authorization Reference, EC2). Whoever took this role over could list every instance of the account and region, without its user data.',
  actions: ['ec2:DescribeInstances'],
  resources: ['*'],
};

const READ = ['dynamodb:GetItem'] as const;
const READ_AND_WRITE = ['dynamodb:GetItem', 'dynamodb:PutItem'] as const;

/** Records whose key begins so, of the one table. */
const records = (reason: string, actions: readonly string[], tableArn: string, kinds: readonly string[]): Grant => ({
  reason,
  actions,
  resources: [tableArn],
  conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': kinds.map((kind) => `${kind}*`) } },
});

const secret = (reason: string, secretArn: string): Grant => ({
  reason,
  actions: ['secretsmanager:GetSecretValue'],
  resources: [secretArn],
});
