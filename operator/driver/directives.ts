// What a device is told, from its row and the plan alone: a directive that is sent again is made again, and no word of a stranger is ever signed.
import { type Action, type Directive, type OpenDirective, openOf, topicsOf } from '../firmware/firmware.ts';
import type { Plan } from './plan.ts';
import type { Image, Open, Row } from './row.ts';

/** A directive to be signed and published, retained, with what the next driver has to know beside it. */
export type Order = { uid: string; topic: string; directive: Directive; properties: Checkpoint };

/** User properties of MQTT 5, all text. The devices do not look at them. */
export type Checkpoint = {
  boot: string;
  attempt: string;
  since: string;
  release: string;
  /** Of a Cancel: sequence, nonce and boot of what it cancels. */
  under?: string;
};

const DAY_S = 86_400;
const MOST_VALID_S = 31 * DAY_S;

/** A directive has to be good for as long as its offer, and for a device that comes back on the last day. */
const validOf = ({ policy }: Plan): number => Math.min(MOST_VALID_S, Math.ceil(policy.offerMs / 1000) + DAY_S);

type Wish = { action: Action; image: Image | undefined; seq: number; nonce: string; now: number };

/** A new one, for the boot that was heard of last. */
export function openFor(plan: Plan, row: Row, { action, image, seq, nonce, now }: Wish): Open {
  const iat = Math.floor(now / 1000);
  const of = { device: row.name, component: plan.wave.component, seq, nonce, action, bootAtOpen: row.heard?.boot ?? 0 };
  const target = image === undefined ? undefined : { digest: image.digest, securityCounter: image.securityCounter };
  return { of: { ...of, image: target }, image, iat, exp: iat + validOf(plan), echo: row.heard?.nonce };
}

/** The same again: what it asks for and its nonce stay, so that an answer to either is an answer to both. */
export function renewed(plan: Plan, open: Open, echo: string | undefined, now: number): Open {
  const iat = Math.floor(now / 1000);
  return { ...open, iat, exp: iat + validOf(plan), echo: echo ?? open.echo };
}

/** One that a driver before this one sent. `boot` is all that has to be known besides it. */
export const takenUp = (directive: Directive, image: Image | undefined, boot: number): Open => ({
  of: openOf(directive, boot),
  image,
  ...{ iat: directive.iat, exp: directive.exp, echo: directive.echo },
});

export function orderOf(plan: Plan, row: Row, open: Open): Order {
  const { of } = open;
  return {
    uid: row.uid,
    topic: topicsOf(row.name).directive,
    directive: directiveOf(plan, open, of),
    properties: {
      boot: String(of.bootAtOpen),
      attempt: String(row.attempt),
      since: String(Math.floor(row.since)),
      release: plan.release.uid,
      ...(row.under === undefined ? {} : { under: underText(row.under.open.of) }),
    },
  };
}

const underText = ({ seq, nonce, bootAtOpen }: OpenDirective): string => `${seq} ${nonce} ${bootAtOpen}`;

function directiveOf(plan: Plan, { image, iat, exp, echo }: Open, of: OpenDirective): Directive {
  const { policy, links, wave } = plan;
  const brings = of.action === 'Install' || of.action === 'Stage';
  const hex = image?.digest.slice('sha256:'.length) ?? '';
  return {
    ...{ v: 1, aud: of.device, component: of.component, seq: of.seq, fence: plan.fence, iat, exp, nonce: of.nonce },
    ...(echo === undefined ? {} : { echo }),
    action: of.action,
    ...(brings ? { release: releaseOf(wave.manifestDigest, links) } : {}),
    ...(image === undefined ? {} : { artifact: { ...image, ...(brings ? { urls: [`${links.images}/${hex}`] } : {}) } }),
    timeouts: {
      download: seconds(policy.downloadMs, 7 * DAY_S),
      install: seconds(policy.installMs, DAY_S),
      confirm: seconds(policy.confirmMs, DAY_S),
    },
    jitter: Math.min(DAY_S, Math.floor(policy.jitterMs / 1000)),
    forced: policy.isForced,
  };
}

const releaseOf = (digest: string, { release, roots, rootVersion }: Plan['links']): NonNullable<Directive['release']> => ({
  digest,
  urls: [release],
  roots: { version: rootVersion, url: roots },
});

const seconds = (ms: number, most: number): number => Math.min(most, Math.max(1, Math.ceil(ms / 1000)));
