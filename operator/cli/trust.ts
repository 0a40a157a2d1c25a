// `kubectl hedgerow trust status` and `trust force`: how far the next CA of the broker has come, and the person's way to go on without the rest.
import { readTrust, type TrustStatus, writeForce } from '../trust/trust.ts';
import { printable } from './adoption-text.ts';
import { withCluster } from './cluster.ts';
import type { Command } from './command.ts';
import { CliError } from './errors.ts';
import { CLUSTER_FLAGS, CLUSTER_HELP, LEDGER_NAMESPACE, OUTPUT_FLAG, required, TEXT, text, wantsJson } from './flags.ts';
import type { Values } from './parse.ts';
import { facts } from './table.ts';

const STATE_FLAGS = { 'operator-namespace': TEXT, 'trust-state': TEXT } as const;
const STATE_HELP = `  --operator-namespace NS      the operator's namespace (default: ${LEDGER_NAMESPACE})
  --trust-state NAME           its ConfigMap for the rotation (default: hedgerow-trust)
`;

export const trustStatus: Command = {
  words: ['trust', 'status'],
  summary: 'how many devices have the next CA of the broker, and which have not',
  help: `usage: kubectl hedgerow trust status [FLAG…]

Prints the phase of the rotation of the broker's server CA, how many devices have confirmed, and the first 50 that have not.

  --output, -o json            the same for scripts
${STATE_HELP}${CLUSTER_HELP}
Your own rights are used: get on that ConfigMap.
`,
  flags: { ...OUTPUT_FLAG, ...STATE_FLAGS, ...CLUSTER_FLAGS },
  async run(values, { out }) {
    const json = wantsJson(values);
    return withCluster(values, async (client) => {
      const { status, forced } = await known(readTrust(client, place(values)), values);
      out(json ? `${JSON.stringify({ ...status, forced }, undefined, 2)}\n` : statusText(status, forced));
      return 0;
    });
  },
};

export const trustForce: Command = {
  words: ['trust', 'force'],
  summary: 'let the broker switch to its next CA although devices have not confirmed: they are locked out until EST tells them',
  help: `usage: kubectl hedgerow trust force --reason TEXT [FLAG…]

Lets the operator switch the certificate of the broker now, for this set of anchors only. Devices that did not confirm cannot connect afterwards until they
have read /.well-known/hedgerow/anchors of the EST server, or their old anchor comes back.

  --reason TEXT                why, for the audit: what was seen, ticket number (required)
${STATE_HELP}${CLUSTER_HELP}
Your own rights are used: get and patch on that ConfigMap.
`,
  flags: { reason: TEXT, ...STATE_FLAGS, ...CLUSTER_FLAGS },
  async run(values, { out }) {
    const reason = required(values, 'reason');
    return withCluster(values, async (client) => {
      const { status } = await known(readTrust(client, place(values)), values);
      if (status.phase !== 'Distributing') throw new CliError('HR-CLI-091', `the phase is ${status.phase}`);
      await writeForce(client, place(values), { digest: status.digest, reason });
      out(`the broker may switch; ${status.waiting.count} devices did not confirm. kubectl hedgerow trust status shows when it has.\n`);
      return 0;
    });
  },
};

/** Pure. */
export function statusText(status: TrustStatus, forced: boolean): string {
  const head = facts([
    ['phase', status.phase],
    ['message', status.message],
    ['confirmed', `${status.confirmed} of ${status.of}; a share of ${status.share} is needed`],
    ['sequence', String(status.sequence)],
    ['digest', status.digest],
    ['forced', forced ? 'by a person, for this set of anchors' : undefined],
  ]);
  return [head, names('not confirmed by', status.waiting), names('out of touch and not confirmed', status.leftBehind)].join('');
}

function names(heading: string, { count, first }: TrustStatus['waiting']): string {
  if (count === 0) return '';
  const more = count > first.length ? `  and ${count - first.length} more\n` : '';
  return `\n${heading}:\n${first.map((name) => `  ${printable(name)}\n`).join('')}${more}`;
}

function place(values: Values): { namespace: string; name: string } {
  return { namespace: text(values, 'operator-namespace') ?? LEDGER_NAMESPACE, name: text(values, 'trust-state') ?? 'hedgerow-trust' };
}

async function known<T>(asked: Promise<T | undefined>, values: Values): Promise<T> {
  const found = await asked;
  if (found !== undefined) return found;
  const { namespace, name } = place(values);
  throw new CliError('HR-CLI-090', `${namespace}/${name}`);
}
