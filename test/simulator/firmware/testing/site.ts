// A site for tests of the reference device: release keys and roots, a directive key, images, a server of bytes. Made with the operator's own code, so that what it
// writes is read by the other implementation.
import { createHash, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { nextSeq, signDirective } from '../../../../operator/firmware/directive.ts';
import { type DirectiveSigner, readDirectiveSigner } from '../../../../operator/firmware/directive-signer.ts';
import { envelopeText, signed, unsigned } from '../../../../operator/firmware/envelope.ts';
import type { Directive } from '../../../../operator/firmware/messages.ts';
import type { SigningKey } from '../../../../operator/firmware/signing-key.ts';
import { statementOf } from '../../../../operator/firmware/statement.ts';
import { newKey, parsedRoot, publics, rootBy } from '../../../../operator/firmware/testing/trust.ts';
import { directiveCa, directiveKey } from '../../../harness/directive-certificates.ts';
import type { World } from '../agent.ts';
import { type Fixed, imageFile, statementFile } from '../bootloader.ts';
import type { Flash } from '../flash.ts';
import { Machine } from '../machine.ts';

export const NOW = Date.parse('2026-11-26T12:00:00Z');
export const CLASS = '6b1d2c7e-8f0a-4b3c-9d5e-0123456789ab';
const DAY_MS = 86_400_000;

export type Image = { bytes: Buffer; digest: string; statement: Buffer; statementDigest: string; version: string; securityCounter: number };
export type ImageWish = {
  component?: string;
  version: string;
  securityCounter: number;
  selfTest?: number;
  hangs?: boolean;
  size?: number;
  classIds?: string[];
  minVersionFloor?: string;
};

export type Site = {
  firstRoot: Buffer;
  secondRoot: Buffer;
  cas: X509Certificate[];
  signer: DirectiveSigner;
  image(wish: ImageWish, keys?: readonly SigningKey[]): Image;
  /** The release keys of root 1, two of which have to sign; the third is out in root 2, and `late` is in. */
  keys: readonly SigningKey[];
  late: SigningKey;
};

export async function makeSite(now = NOW): Promise<Site> {
  const [rootKey, ...keys] = [newKey(), newKey(), newKey('P-256'), newKey()];
  const late = newKey('P-256');
  const firstRoot = rootBy([rootKey], {
    root: { add: publics([rootKey]), threshold: 1 },
    targets: { add: publics(keys), threshold: 2 },
    expiresAt: now + 90 * DAY_MS,
  });
  const before = parsedRoot(firstRoot);
  const out = keys[2]?.public.keyid ?? '';
  const secondRoot = rootBy([rootKey], { before, targets: { add: publics([late]), remove: [out] }, expiresAt: now + 90 * DAY_MS });
  const ca = await directiveCa('directive CA', now);
  const read = readDirectiveSigner(await directiveKey(ca, now), { site: 'berlin', now });
  if (!read.ok) throw new Error(read.problem.code);
  return {
    firstRoot,
    secondRoot,
    cas: [new X509Certificate(ca.pem)],
    signer: read.signer,
    keys,
    late,
    image: (wish, by = keys.slice(0, 2)) => makeImage(wish, by),
  };
}

/** Signed by `keys`, whoever they are. */
export function makeImage(
  { component = 'app', version, securityCounter, selfTest = 0, hangs = false, size = 2000, classIds = [CLASS], minVersionFloor }: ImageWish,
  keys: readonly SigningKey[],
): Image {
  const head = Buffer.from(`${JSON.stringify({ version, selfTest, hangs })}\n`);
  const bytes = Buffer.concat([
    head,
    createHash('sha512').update(head).digest(),
    Buffer.alloc(Math.max(0, size - head.length - 64), version),
  ]);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const statement = statementOf({
    ...{ component, version, securityCounter },
    ...(minVersionFloor === undefined ? {} : { minVersionFloor }),
    artifacts: [{ name: 'full', format: 'raw', size: bytes.length, hardware: { classIds }, sha256 }],
  });
  const envelope = keys.reduce(signed, unsigned(statement));
  const statementDigest = `sha256:${createHash('sha256').update(statement).digest('hex')}`;
  return { bytes, digest: `sha256:${sha256}`, statement: Buffer.from(envelopeText(envelope)), statementDigest, version, securityCounter };
}

/** As the factory leaves it: an image in slot A. */
export function factory(flash: Flash, image: Image): void {
  flash.write(imageFile('A'), 0, image.bytes);
  flash.write(statementFile('A'), 0, image.statement);
  flash.sync(imageFile('A'));
  flash.sync(statementFile('A'));
}

/** Directives with sequences of their own. */
export function commander(site: Pick<Site, 'signer'>) {
  let last = 0;
  return {
    make(aud: string, action: Directive['action'], image: Image | undefined, fields: Partial<Directive> = {}): Directive {
      last = nextSeq(NOW, last);
      const brings = action === 'Install' || action === 'Stage';
      const { digest = '', statementDigest = '', version = '', securityCounter = 0, bytes } = image ?? {};
      const urls = [`https://fw/${digest}`];
      return {
        ...{
          v: 1,
          aud,
          component: 'app',
          seq: last,
          fence: 1,
          iat: NOW / 1000,
          exp: NOW / 1000 + 86_400,
          action,
          jitter: 0,
          forced: false,
        },
        nonce: createHash('sha256').update(`${aud} ${last}`).digest('hex').slice(0, 32),
        ...(brings ? { release: { digest: statementDigest, urls: [`https://fw/${statementDigest}`] } } : {}),
        ...(image === undefined
          ? {}
          : { artifact: { digest, size: bytes?.length ?? 0, version, securityCounter, ...(brings ? { urls } : {}) } }),
        timeouts: { download: 7200, install: 900, confirm: 600 },
        ...fields,
      };
    },
    sign(directive: Directive): Buffer {
      const made = signDirective(directive, site.signer);
      if (!made.ok) throw new Error(`${made.problem.code} ${made.problem.found}`);
      return made.bytes;
    },
  };
}

/** Serves images and statements by digest; images in pieces that are smaller than what was asked for. */
export function serving(images: readonly Image[], more: ReadonlyMap<string, Buffer> = new Map()): World['fetch'] {
  const statements = new Map([...images.map((one) => [`https://fw/${one.statementDigest}`, one.statement] as const), ...more]);
  const files = new Map(images.map((one) => [`https://fw/${one.digest}`, one.bytes]));
  return async (url, from, most) => {
    const file = statements.get(url) ?? files.get(url)?.subarray(0, from + 700);
    return file === undefined ? { status: 404 } : { bytes: file.subarray(from, from + most) };
  };
}

export type Device = { machine: Machine; world: World; fixed: Fixed; bootKey: KeyObject; sent: { topic: string; payload: string }[] };

/** A device with its own boot key; `change` is what is wrong with its world. */
export function makeDevice(
  site: Pick<Site, 'firstRoot' | 'cas'>,
  flash: Flash,
  fetch: World['fetch'],
  change: Partial<World> = {},
  bootKeys = generateKeyPairSync('ed25519'),
): Device {
  const sent: Device['sent'] = [];
  const device = change.device ?? 'thermo-17.berlin';
  const fixed: Fixed = {
    device,
    component: 'app',
    classId: change.classId ?? CLASS,
    firstRoot: site.firstRoot,
    bootKey: bootKeys.privateKey,
  };
  const world: World = {
    ...{ device, component: 'app', classId: CLASS, cas: site.cas, flash, fetch },
    now: () => NOW / 1000,
    elapsed: () => 0,
    wait: () => Promise.resolve(),
    selfTest(image) {
      const { selfTest, hangs } = JSON.parse(image.toString('utf8', 0, image.indexOf('\n'))) as { selfTest: number; hangs: boolean };
      return hangs ? undefined : selfTest;
    },
    publish(topic, payload) {
      sent.push({ topic, payload });
      return Promise.resolve(true);
    },
    ...change,
  };
  return { machine: new Machine(world, fixed), world, fixed, bootKey: bootKeys.publicKey, sent };
}
