// Whether a TCP port takes a connection. Nothing is sent.
import { connect } from 'node:net';
import type { Clock } from '../runtime/clock.ts';

/** A network that drops packets says nothing: three tries of TCP (RFC 6298: 0, 1 and 3 s after each other). */
const WITHIN_MS = 3_500;

export function takesConnection(host: string, port: number, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (taken: boolean): void => {
      timer.cancel();
      socket.on('error', () => undefined).destroy();
      resolve(taken);
    };
    const timer = clock.setTimer(WITHIN_MS, () => end(false));
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}
