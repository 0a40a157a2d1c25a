// `kubectl hedgerow rollout pause | resume | approve | abort | rollback`: what a person decides about a rollout, by an Intervention.
import { createInterface } from 'node:readline/promises';
import { systemClock } from '../runtime/clock.ts';
import { expiry } from './acts.ts';
import { withCluster } from './cluster.ts';
import type { Command, Output } from './command.ts';
import { CLUSTER_FLAGS, CLUSTER_HELP, OUTPUT_FLAG, required, TEXT, text, wantsJson } from './flags.ts';
import type { Values } from './parse.ts';
import { type Ask, askFor, type RolloutAct, resumeRelease } from './rollout-act.ts';

const REASON = `  --reason TEXT                why, for the audit (required)
`;
const YES = `  --yes                        do not ask
`;
const JSON_HELP = `  --output, -o json            the Intervention
`;
const RIGHTS = 'Your own rights are used: get on firmwarereleases, create on interventions.';
const EXITS = `Exit codes: 0 it is asked for, and stands; 1 it was refused, could not be asked for, or was not confirmed; 2 wrong use.
`;

export const rolloutPause: Command = {
  words: ['rollout', 'pause'],
  operand: 'RELEASE',
  summary: 'offer a release to no further device until it is resumed; what is on its way goes on',
  help: `usage: kubectl hedgerow rollout pause RELEASE --reason TEXT [--expires WHEN] [FLAG…]

Makes an Intervention in your name. While it is there no further device is offered the release, whatever Git says; devices that are at work come to their end.

${REASON}  --expires WHEN               when it ends by itself: a time (2026-12-01T00:00:00Z) or a duration from now (90m, 12h) (default: never)
${JSON_HELP}${CLUSTER_HELP}
${RIGHTS}

${EXITS}`,
  flags: { reason: TEXT, expires: TEXT, ...OUTPUT_FLAG, ...CLUSTER_FLAGS },
  run: (values, output) => act({ action: 'Pause', expires: expiry(text(values, 'expires'), systemClock) }, values, output),
};

export const rolloutResume: Command = {
  words: ['rollout', 'resume'],
  operand: 'RELEASE',
  summary: 'end the pauses of a release that were made by hand, and say whose they were',
  help: `usage: kubectl hedgerow rollout resume RELEASE [FLAG…]

Deletes the Interventions Pause on the release, those of other people too: each is named with who made it and why. spec.rollout.paused in the manifest is not touched: it
says so.

${CLUSTER_HELP}
Your own rights are used: list and delete on interventions, get on firmwarereleases.

Exit codes: 0 nobody holds it any more; 1 it could not be done; 2 wrong use; 3 the manifest still pauses it.
`,
  flags: CLUSTER_FLAGS,
  run: (values, output) =>
    withCluster(values, (client, namespace) =>
      resumeRelease({ client, clock: systemClock, output }, { name: required(values, 'RELEASE'), namespace }),
    ),
};

export const rolloutApprove: Command = {
  words: ['rollout', 'approve'],
  operand: 'RELEASE',
  summary: 'let the wave begin that waits for an approval; shows what is approved before it asks',
  help: `usage: kubectl hedgerow rollout approve RELEASE --reason TEXT [FLAG…]

Makes an Intervention in your name that names the wave, the digest of the statement that was verified, and the generation of the manifest: an approval of other bytes or of
an older text counts for nothing. Shows all of it, with what the gate says, and asks. Nobody approves a release of their own.

${REASON}  --wave NAME                  which wave (default: the one that waits)
${YES}${JSON_HELP}${CLUSTER_HELP}
${RIGHTS}

${EXITS}`,
  flags: { reason: TEXT, wave: TEXT, yes: { type: 'boolean' }, ...OUTPUT_FLAG, ...CLUSTER_FLAGS },
  run: (values, output) => act({ action: 'Approve', wave: text(values, 'wave') }, values, output),
};

export const rolloutAbort: Command = {
  words: ['rollout', 'abort'],
  operand: 'RELEASE',
  summary: 'stop a release for good: devices that have not booted it keep what they have',
  help: `usage: kubectl hedgerow rollout abort RELEASE --reason TEXT [FLAG…]

Makes an Intervention in your name. No device is offered the release any more, those that have not booted it are told to stop, those that have confirmed it keep it. It
cannot be taken back: to go on make another FirmwareRelease.

${REASON}${YES}${JSON_HELP}${CLUSTER_HELP}
${RIGHTS}

${EXITS}`,
  flags: { reason: TEXT, yes: { type: 'boolean' }, ...OUTPUT_FLAG, ...CLUSTER_FLAGS },
  run: (values, output) => act({ action: 'Abort' }, values, output),
};

export const rolloutRollback: Command = {
  words: ['rollout', 'rollback'],
  operand: 'RELEASE',
  summary: 'stop a release and let every device go back to what it ran before; says when there is no way back',
  help: `usage: kubectl hedgerow rollout rollback RELEASE --reason TEXT [FLAG…]

Makes an Intervention in your name. The release is stopped for good, and devices that have confirmed it start the image that they ran before. Where there is no way back
(the security counter was raised) it says so: then the release is only stopped.

${REASON}${YES}${JSON_HELP}${CLUSTER_HELP}
${RIGHTS}

${EXITS}`,
  flags: { reason: TEXT, yes: { type: 'boolean' }, ...OUTPUT_FLAG, ...CLUSTER_FLAGS },
  run: (values, output) => act({ action: 'Rollback' }, values, output),
};

function act(wish: RolloutAct, values: Values, output: Output): Promise<number> {
  const asked = { reason: required(values, 'reason'), json: wantsJson(values), yes: values.yes === true };
  return withCluster(values, (client, namespace) =>
    askFor(
      { client, clock: systemClock, output, ask: terminalAsk() },
      { ...wish, ...asked, release: { name: required(values, 'RELEASE'), namespace } },
    ),
  );
}

/** Undefined where nobody can answer. The question goes to stderr: stdout may be a pipe. */
function terminalAsk(): Ask | undefined {
  if (!process.stdin.isTTY) return undefined;
  return async (question) => {
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
    try {
      return await Promise.race([lines.question(question), ended]);
    } finally {
      lines.close();
    }
  };
}
