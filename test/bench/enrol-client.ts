// The devices of the bench `enroll`, as a process of their own: reads a fleet with its keys from a file, and enrols the devices of each range that it is told, so many at a time.
// Parent to it: {from, to}; back: 'loaded', then for each range the number of devices that have their certificate.
import { readFileSync } from 'node:fs';
import type { BoxedDevice } from '../harness/factory-fleet.ts';
import { parallel } from '../harness/parallel.ts';
import { type EstServerAddress, persist } from '../simulator/est.ts';

const DEADLINE_MS = 120_000;
/** An EST server says 5 s with 202; a device that is asked to come again does. */
const LONGEST_PAUSE_MS = 5_000;

type Order = { fleetFile: string; server: EstServerAddress; lanes: number };
const [orderText = '{}'] = process.argv.slice(2);
const { fleetFile, server, lanes } = JSON.parse(orderText) as Order;
const fleet = JSON.parse(readFileSync(fleetFile, 'utf8')) as BoxedDevice[];

process.on('message', (range: { from: number; to: number }) => {
  void enrolAll(fleet.slice(range.from, range.to)).then((enrolled) => process.send?.(enrolled));
});
process.on('disconnect', () => process.exit());
process.send?.('loaded');

async function enrolAll(devices: readonly BoxedDevice[]): Promise<number> {
  let enrolled = 0;
  await parallel(devices, lanes, async ({ factory, request, serial }) => {
    const call = { path: 'simpleenroll', as: { key: factory.key, cert: factory.cert }, body: request } as const;
    const answer = await persist([server], call, { deadlineMs: DEADLINE_MS, longestPauseMs: LONGEST_PAUSE_MS });
    if (answer.status === 200) enrolled += 1;
    else console.error(`${serial}: ${answer.status} ${answer.body.trim()}`);
  });
  return enrolled;
}
