import { rankText } from '../lifecycle/ssm-status.ts';
import { states } from '../lifecycle/states.ts';
import type { ExplainedAttempt, ExplainedCause, ExplainedReason, Explanation } from '../schemas/explanation.ts';
import { fleetOfSlotKey } from '../schemas/worker.ts';
import { durationBetween, relativeTime } from './duration.ts';
import { runNameText } from './fleet-text.ts';
import { type Paint, paintStatus, shown } from './paint.ts';
import { attemptText } from './timeline.ts';

/** Columns of a time since the request, and of the name of a fact. */
const TIME_COLUMNS = 12;
const NAME_COLUMNS = 12;

/** Why a task stands where it stands, for a person: what comes next first, then how it came here. */
export function explanationText(told: Explanation, paint: Paint): string[] {
  return [
    `${paint.bold(told.taskId)}  ${paintStatus(told.status, paint)}${standing(told)}`,
    '',
    ...rows(facts(told), paint),
    '',
    paint.bold('what comes next'),
    ...rows(nextFacts(told), paint),
    ...told.attemptsMade.flatMap((one) => ['', ...attemptLines(one, told, paint)]),
    '',
    paint.bold('how it came here'),
    ...treeLines(told, paint),
    ...ignoredLines(told, paint),
  ];
}

const NOT_PROVEN = '(not proven)';
const PROOF_IS_MISSING =
  'nothing shows yet that it was delivered; what drives the task is published again until something does';

type Row = readonly [string, string | undefined];

const rows = (all: readonly Row[], paint: Paint): string[] =>
  all.flatMap(([name, value]) => (value === undefined ? [] : `  ${paint.dim(name.padEnd(NAME_COLUMNS))}${value}`));

function standing({ since, submittedAt, at, end, settled }: Explanation): string {
  if (!end) return ` for ${durationBetween(since ?? submittedAt, at)}`;
  return ` after ${durationBetween(submittedAt, end.at)}${settled ? '' : ', not settled yet'}`;
}

const reasonText = ({ code, message }: ExplainedReason): string => `${code}: ${shown(message)}`;

/** Nothing where the reason has said it. */
const adviceIn = (reason: ExplainedReason | null | undefined): string | undefined =>
  reason?.remedy === reason?.message ? undefined : reason?.remedy;

function facts(told: Explanation): Row[] {
  const { reason, end, slot } = told;
  return [
    ['state', told.standing],
    ['reason', reason && reasonText(reason)],
    ['what to do', adviceIn(reason)],
    ['attempt', attemptText(told)],
    ['compute', computeText(told)],
    ['slot', slotText(slot)],
    ['ended', end && `${end.at}: ${end.detected}`],
    ['settled', end && (end.settledAt ?? 'not yet')],
  ];
}

/** Of what capacity a fleet is, no task says. */
function computeText({ compute, isolation, capacity, slot: { key } }: Explanation): string | undefined {
  if (compute === undefined) return undefined;
  const fleet = fleetOfSlotKey(key);
  if (fleet !== undefined) return `${compute} (a worker of the fleet ${shown(fleet)})`;
  return `${compute} (isolation ${isolation}, capacity ${capacity})`;
}

function slotText({
  key,
  standing: stands,
  since,
  place,
  limit,
  holding,
  waiting,
  holders,
}: Explanation['slot']): string {
  const full = limit === undefined ? '' : ` (${holding} of ${limit} held, ${waiting} waiting)`;
  switch (stands) {
    case 'holds':
      return `holds one of "${key}" since ${since}${full}`;
    case 'granted':
      return `was given one of "${key}" at ${since}${full}`;
    case 'waits':
      return `waits for "${key}" since ${since}, place ${place}${full}; held by ${holders
        .map(({ taskId, since: from }) => `${taskId} since ${from}`)
        .join(', ')}`;
    case 'none':
      return `neither holds nor waits for one of "${key}"${full}`;
  }
}

function nextFacts({ next, due, at }: Explanation): Row[] {
  if (!next) return [['next', 'nothing: all is done']];
  const nowMs = Date.parse(at);
  return [
    ['next', shown(next.what)],
    ['by', `${next.who}${next.on === undefined ? '' : `, on ${next.on}`}`],
    ['no later', next.by === undefined ? undefined : `${next.by} (${relativeTime(next.by, nowMs)}): ${next.otherwise}`],
    ...due.map((one): Row => ['due', `${one.at} (${relativeTime(one.at, nowMs)}): ${one.happens}`]),
  ];
}

function attemptLines(
  { attempt, start, run, runner, lost }: ExplainedAttempt,
  told: Explanation,
  paint: Paint,
): string[] {
  const since = (at: string): string => `+${durationBetween(told.submittedAt, at)}`;
  const facts: Row[] = [
    ['begins', startText(start)],
    ['run', run && `${runNameText(run.nativeId ?? run.startedBy)}, handed over ${since(run.dispatchedAt)}`],
    ...(run?.seen ?? []).map(
      ({ nativeId, sequence, ended }): Row => [
        'back end',
        `${runNameText(nativeId)}: ${heardText(told.compute, sequence)}${ended ? ', ended' : ''}`,
      ],
    ),
    ['life', run?.life && lifeText(run.life, since(run.life.since))],
    ['run ended', run?.ended && endText(run.ended, since(run.ended.at))],
    ['stops', run && run.stopRequests > 0 ? `${run.stopRequests} answered` : undefined],
    ['claimed', runner?.claim && `${since(runner.claim.at)} by ${runNameText(runner.claim.nativeId)}`],
    ['heartbeat', runner?.heartbeatAt && `the latest ${since(runner.heartbeatAt)}`],
    ['first word', runner?.firstOutputAt && since(runner.firstOutputAt)],
    ['report', runner?.report && reportText(runner.report)],
    ['not found', runner?.report?.lostWork && lostText(runner.report.lostWork)],
    ['saved work', runner?.savedWork && `${runner.savedWork.branch} at ${runner.savedWork.commit.slice(0, 12)}`],
    ['fence', runner && fenceText(runner)],
    [lost?.paused ? 'paused' : 'lost', lost && `${since(lost.at)}: ${lossText(lost)}`],
    ['what to do', adviceIn(lost?.reason)],
    ['next one', lost?.nextAttemptAt],
  ];
  return [paint.bold(`attempt ${attempt}`), ...rows(facts, paint)];
}

/** On a fleet the order number is the rank of a status, which is nothing that people know. */
function heardText(compute: Explanation['compute'], sequence: number | undefined): string {
  if (sequence === undefined) return 'heard of';
  return compute === 'ec2' ? `heard that its command ${rankText(sequence)}` : `heard up to version ${sequence}`;
}

function startText(start: ExplainedAttempt['start']): string {
  switch (start.from) {
    case 'base_branch':
      return `from the base branch. ${start.because}`;
    case 'saved_work':
      return `from saved work, ${start.savedWork.branch} at ${start.savedWork.commit.slice(0, 12)}. ${start.because}`;
    case 'unknown':
      return start.because;
  }
}

type RunOf = NonNullable<ExplainedAttempt['run']>;
type RunnerOf = NonNullable<ExplainedAttempt['runner']>;

/** Signs are compared, never timed: what counts is since when they are the same. */
const lifeText = ({ looks }: NonNullable<RunOf['life']>, since: string): string =>
  `its latest sign was first seen ${since}${looks === 0 ? '' : `; ${looks} ${looks === 1 ? 'look' : 'looks'} since found no newer one`}`;

const endText = ({ proof, exitCode }: NonNullable<RunOf['ended']>, when: string): string =>
  `${when} (${proof.replace('_', ' ')})${exitCode === undefined ? '' : `, exit code ${exitCode}`}`;

function reportText({ outcome, reason, retryAfterSeconds }: NonNullable<RunnerOf['report']>): string {
  const wait = retryAfterSeconds === undefined ? '' : `, asks to wait ${retryAfterSeconds} s`;
  return `${outcome}${reason ? `: ${reasonText(reason)}` : ''}${wait}`;
}

const lostText = ({ branch, commit }: NonNullable<RunnerOf['savedWork']>): string =>
  `the saved work ${branch} at ${commit.slice(0, 12)}: it went on without it`;

const fenceText = ({ noClaim, closed }: RunnerOf): string | undefined =>
  closed ? 'closed: nothing of it counts any more' : noClaim ? 'nobody may claim it any more' : undefined;

const lossText = ({ reason, factId }: NonNullable<ExplainedAttempt['lost']>): string =>
  reason ? reasonText(reason) : `the reason is no longer kept here; the event ${factId} says it`;

/** The tree of causes. What belongs to a later attempt begins at the margin again, so that many attempts stay readable. */
function treeLines(told: Explanation, paint: Paint): string[] {
  const lines: string[] = [];
  const later: { readonly attempt: number; readonly node: ExplainedCause }[] = [{ attempt: 1, node: told.tree }];
  for (const { attempt, node } of later) {
    if (attempt > 1) lines.push(paint.dim(`${' '.repeat(TIME_COLUMNS + 4)}attempt ${attempt}`));
    draw(node, '', '', attempt);
  }
  if (lines.some((line) => line.includes(NOT_PROVEN))) lines.push(paint.dim(`  ${NOT_PROVEN}: ${PROOF_IS_MISSING}`));
  return lines;

  function draw(node: ExplainedCause, before: string, branch: string, attempt: number): void {
    const time = `+${durationBetween(told.submittedAt, node.at)}`.padStart(TIME_COLUMNS);
    lines.push(`  ${paint.dim(time)}  ${paint.dim(before + branch)}${causeText(node, told.settled, paint)}`);
    const below = branch === '' ? before : before + (branch.startsWith('└') ? '  ' : '│ ');
    const shownHere = node.ledTo.filter((one) => {
      const isLater = (one.step?.attempt ?? attempt) > attempt;
      if (isLater) later.push({ attempt: one.step?.attempt ?? attempt, node: one });
      return !isLater;
    });
    for (const [place, one] of shownHere.entries()) {
      draw(one, below, place === shownHere.length - 1 ? '└ ' : '├ ', attempt);
    }
  }
}

function causeText(node: ExplainedCause, isSettled: boolean, paint: Paint): string {
  const { step, type } = node;
  if (!step) {
    const strange = node.unlinked ? paint.red('  (nothing links it to what came before)') : '';
    const who = node.kind === 'settled' ? '' : `${shown(node.who)} `;
    return `${who}${withoutArns(shown(node.what))}${type === undefined ? '' : paint.dim(`  ← ${type}`)}${strange}`;
  }
  const why = step.reason ? `  ${reasonText(step.reason)}` : '';
  const facts = step.facts.map((fact) => fact.type).join(', ');
  const says = facts === '' ? '' : paint.dim(`  → ${facts}${step.proven || isSettled ? '' : ` ${NOT_PROVEN}`}`);
  const what = states[step.to].terminal && step.reason ? '' : `  ${shown(node.what)}`;
  return `${paintStatus(step.to, paint)}${what}${why}${says}`;
}

/** The names in ARNs; whole they stand with the attempts. */
const withoutArns = (text: string): string => text.replaceAll(/\barn:[^\s,]*\//g, '');

function ignoredLines({ ignored, submittedAt }: Explanation, paint: Paint): string[] {
  const title = ['', paint.bold('what changed nothing')];
  if (ignored.keptIn === 'logs') {
    return [...title, '  Ignored events are in the logs of the functions, each with its task and its reason.'];
  }
  const lines = ignored.events.map(
    ({ at, cause, reason }) =>
      `  ${paint.dim(`+${durationBetween(submittedAt, at)}`.padStart(TIME_COLUMNS))}  ${cause.type}: ${shown(reason).replaceAll('_', ' ')}  ${paint.dim(withoutArns(shown(cause.id)))}`,
  );
  return [
    ...title,
    `  ${ignored.duplicates} ${ignored.duplicates === 1 ? 'duplicate was' : 'duplicates were'} absorbed.`,
    ...lines,
  ];
}
