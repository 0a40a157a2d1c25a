// The demo's flags. Pure: text in, options or a complaint out.
import { parseArgs } from 'node:util';

export type DemoOptions = { action: 'run' | 'stop'; keep: boolean; kubeconfig: string | undefined; name: string };
export type Parsed = { kind: 'options'; options: DemoOptions } | { kind: 'help' } | { kind: 'wrong'; message: string };

export const HELP = `npm run demo [-- FLAG…]

Boots a real control plane with cert-manager, a stand-in for EMQX and the operator on this machine, applies crds/samples/smart-office,
lets simulated devices talk, and acts out what must not work. Ends with what was proved; exit code 0 only if all of it held.

  --keep             leave everything running afterwards, devices talking, and print the commands to explore; Ctrl-C ends it
  --stop             end a demo that was left running from another terminal
  --kubeconfig FILE  use a cluster that exists (kind, k3d, k3s, cloud) instead of booting one: with cert-manager, without Hedgerow.
                     What the demo makes there it removes at its end
  --name NAME        several demos run side by side by name (default: demo)
  --help

Colours: none where NO_COLOR is set or the output is no terminal; then the table is printed now and then instead of redrawn.
`;

const FLAGS = {
  keep: { type: 'boolean' },
  stop: { type: 'boolean' },
  kubeconfig: { type: 'string' },
  name: { type: 'string', default: 'demo' },
  sites: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

export function parseOptions(argv: readonly string[]): Parsed {
  try {
    const { values } = parseArgs({ args: [...argv], options: FLAGS, strict: true, allowPositionals: false });
    if (values.help === true) return { kind: 'help' };
    const wrong = complaint(values);
    if (wrong !== undefined) return { kind: 'wrong', message: wrong };
    return {
      kind: 'options',
      options: {
        action: values.stop === true ? 'stop' : 'run',
        keep: values.keep === true,
        kubeconfig: values.kubeconfig,
        name: values.name,
      },
    };
  } catch (error) {
    return { kind: 'wrong', message: error instanceof Error ? error.message : String(error) };
  }
}

type Values = { keep?: boolean; stop?: boolean; kubeconfig?: string; name: string; sites?: string };

function complaint(values: Values): string | undefined {
  if (values.sites !== undefined) return '--sites is not supported yet: the demo has one site';
  if (values.kubeconfig === '') return '--kubeconfig needs the path of a file';
  // The rule for names of clusters, and short enough for the socket and log paths below it.
  if (!/^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$/.test(values.name))
    return `--name ${values.name}: lower-case letters, digits and dashes, at most 42 characters`;
  if (values.stop === true && (values.keep === true || values.kubeconfig !== undefined))
    return '--stop ends a demo that runs and goes with --name only';
  return undefined;
}
