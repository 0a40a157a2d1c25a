// Messages as they should be, to be changed in one place by each test.
import type { Directive, Hello, StateReport } from '../messages.ts';

export const DEVICE = 'thermo-17.berlin';
export const OLD = `sha256:${'0'.repeat(64)}`;
export const NEW = `sha256:${'1'.repeat(64)}`;
export const NONCE = 'a'.repeat(32);

export const install = (): Directive => ({
  v: 1,
  aud: DEVICE,
  component: 'app',
  seq: 7,
  fence: 3,
  iat: 1_795_694_400,
  exp: 1_795_780_800,
  nonce: NONCE,
  action: 'Install',
  release: { digest: `sha256:${'2'.repeat(64)}`, urls: ['https://fw.example.org/release.json'] },
  artifact: { digest: NEW, size: 4096, version: '2.4.0', securityCounter: 5, urls: ['https://fw.example.org/app.bin'] },
  timeouts: { download: 7200, install: 900, confirm: 600 },
  jitter: 0,
  forced: false,
});

export const state = (fields: Partial<StateReport>): StateReport => ({
  ...{ v: 1, device: DEVICE, component: 'app', seq: 7, nonce: NONCE, boot: 3, n: 1, state: 'Accepted', digest: OLD, securityCounter: 4 },
  ...fields,
});

export const hello = (fields: Partial<Hello>, running = OLD): Hello => ({
  ...{ v: 1, device: DEVICE, boot: 3, n: 1, nonce: 'c'.repeat(32), hasClock: true, rootVersion: 1, caps: ['http-range'] },
  components: [{ component: 'app', version: '2.3.0', digest: running, slot: 'A', securityCounter: 4, seq: 0 }],
  ...fields,
});
