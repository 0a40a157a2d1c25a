// What adopting a broker would do, for a person to read before it is done. Pure.
import type { AdoptionReport } from '../broker/broker.ts';

type Plan = Extract<AdoptionReport['plan'], { state: 'foreign' }>;

export type AdoptionView = {
  url: string;
  report: AdoptionReport;
  /** Devices of ours that are connected now. */
  devices: number;
  /** Clients that lose their connection, with the reason. */
  disconnected: readonly { client: string; why: string }[];
  /** The same command again with --yes. */
  confirm: string;
};

export function adoptionText(view: AdoptionView): string {
  const { plan, unsafe, written } = view.report;
  const parts =
    plan.state === 'foreign' ? [...foreign(view, plan), written ? done(plan) : notYet(view)] : [NOTHING[plan.state](plan, view.url)];
  return [...parts, ...(unsafe === '' ? [] : [unsafeText(unsafe, plan.state)])].map((part) => `${part.trimEnd()}\n`).join('\n');
}

const NOTHING: { [State in AdoptionReport['plan']['state']]: (plan: AdoptionReport['plan'], url: string) => string } = {
  ours: (_plan, url) => `${url}: the ACL text is Hedgerow's own. There is nothing to adopt.`,
  adopted: (_plan, url) => `${url} is adopted already: Hedgerow keeps its block and leaves the rules around it alone.`,
  empty: (_plan, url) =>
    `${url}: the ACL text allows nobody anything, so Hedgerow takes the whole of it by itself. There is nothing to adopt.`,
  unreadable: (plan, url) =>
    `${url}: the ACL text cannot be read, so nobody can say what it allows: ${plan.state === 'unreadable' ? plan.why : ''}. Nothing was written. Cure: correct it in EMQX first.`,
  foreign: () => '',
};

function foreign({ url, devices, disconnected }: AdoptionView, plan: Plan): string[] {
  const kept = plan.rules.filter((rule) => rule.kept);
  const dropped = plan.rules.filter((rule) => !rule.kept);
  return [
    `${url}: the ACL text was written by others.`,
    section(`Kept, unchanged and in this order (${kept.length} of ${plan.rules.length} rules, and all comments)`, kept.map(ruleLine)),
    ...(dropped.length === 0 ? [] : [section('Removed', dropped.map(ruleLine))]),
    section('Added', [
      "Hedgerow's block, before the first rule that could allow a device something. It speaks only about clients whose certificate names",
      `a segment (${devices} connected now): from then on they may do what their SegmentPolicy grants, whatever the other rules say.`,
    ]),
    section('Who would lose what', losses(plan, disconnected)),
  ];
}

function losses(plan: Plan, disconnected: AdoptionView['disconnected']): string[] {
  const lines = [
    ...disconnected.map(({ client, why }) => [client, `its connection: ${why}`] as const),
    ...plan.losses.map(
      ({ client, subscription, ours }) =>
        [client, `its subscription to ${subscription}${ours ? ', which its SegmentPolicy does not grant' : ''}`] as const,
    ),
  ].map(([client, what]) => [printable(client), printable(what)] as const);
  const width = Math.max(0, ...lines.map(([client]) => client.length));
  return [
    ...(lines.length === 0
      ? ['nobody who is connected now, as far as connections and subscriptions tell']
      : lines.map(([client, what]) => `${client.padEnd(width)}  ${what}`)),
    'What a client publishes now and then cannot be seen from here.',
  ];
}

const done = (plan: Plan): string =>
  `Written: ${plan.rules.filter((rule) => rule.kept).length} rules of others and Hedgerow's block. The operator goes on by itself within seconds.`;
const notYet = ({ confirm }: AdoptionView): string => `Nothing was written. To do this:\n  ${confirm}`;

function unsafeText(unsafe: string, state: Plan['state'] | string): string {
  const when = state === 'foreign' ? 'Before devices are safe on this EMQX' : 'Not safe';
  return section(
    `${when} (Hedgerow never changes settings of an EMQX; until then Devices say BrokerUnsafe)`,
    printable(unsafe).split(/; (?=HR-BRK-)/),
  );
}

const section = (title: string, lines: readonly string[]): string => `${title}:\n${lines.map((line) => `  ${line}\n`).join('')}`;
const ruleLine = ({ number, text }: { number: number; text: string }): string =>
  `${String(number).padStart(3)}  ${printable(text.replaceAll(/\s+/g, ' '))}`;

/** Rules and client ids of others may hold anything: what a terminal would obey is shown by its number. */
export function printable(text: string): string {
  return text.replaceAll(OBEYED, (character) => `\\x{${character.codePointAt(0)?.toString(16)}}`);
}

/** Control and format characters, line and paragraph separators (Unicode §23). */
const OBEYED = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
