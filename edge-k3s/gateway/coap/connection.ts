// One connection of a device (RFC 8323 §5): capabilities first, then requests, each answered under its token, and the signals. No socket in here: bytes in, bytes out.
import { Broken, CODE, type CoapMessage, readMessage, writeMessage } from './message.ts';
import { readRequest } from './request.ts';

/** What became of a message; `says` goes to the device as diagnostic payload. */
export type Verdict = { code: number; says: string };

export type ConnectionDeps = {
  maximumBytes: number;
  /** Requests of one connection that wait for the disk at a time. */
  mostWaiting: number;
  accept(stream: string, payload: Buffer): Promise<Verdict>;
  write(bytes: Buffer): void;
  /** Nothing more is read: after what was written, the connection ends. */
  end(): void;
};

export type CoapConnection = { read(chunk: Buffer): void };

/** §5.3.1: Max-Message-Size; of the whole message, so a little more than options and payload. */
const MAX_MESSAGE_SIZE = 2;
const HEAD_BYTES = 14;
/** §5.2: a critical option of a signal that is not known. */
const isCritical = (number: number): boolean => number % 2 === 1;
const NO_BYTES = Buffer.alloc(0);

export function createConnection(deps: ConnectionDeps): CoapConnection {
  let rest: Buffer = NO_BYTES;
  let [isIntroduced, isOver, waiting] = [false, false, 0];
  const send = (code: number, more: Partial<CoapMessage> = {}): void =>
    deps.write(writeMessage({ code, token: NO_BYTES, options: [], payload: NO_BYTES, ...more }));
  const size = Buffer.alloc(4);
  size.writeUInt32BE(deps.maximumBytes + HEAD_BYTES);
  send(CODE.CSM, { options: [{ number: MAX_MESSAGE_SIZE, value: size }] });

  function abort(why: string): void {
    isOver = true;
    send(CODE.ABORT, { payload: Buffer.from(why) });
    deps.end();
  }

  function signalled({ code, token, options }: CoapMessage): void {
    if (code === CODE.RELEASE || code === CODE.ABORT) {
      isOver = true;
      deps.end();
    } else if (code === CODE.PONG) return;
    else if (options.some(({ number }) => isCritical(number))) abort('an option of a signal that is not known');
    else if (code === CODE.PING) send(CODE.PONG, { token });
    else if (code === CODE.CSM) isIntroduced = true;
    else abort('a signal that is not known');
  }

  async function requested(message: CoapMessage): Promise<void> {
    const { token } = message;
    const asked = readRequest(message);
    if (asked.kind === 'wrong') return send(asked.code, { token, payload: Buffer.from(asked.says) });
    if (waiting >= deps.mostWaiting) return send(CODE.TOO_MANY, { token, payload: Buffer.from('wait for the answers before') });
    waiting += 1;
    const { code, says } = await deps.accept(asked.stream, asked.payload);
    waiting -= 1;
    send(code, { token, payload: Buffer.from(says) });
  }

  function heard(message: CoapMessage): void {
    const { code } = message;
    if (code >> 5 === 7) signalled(message);
    // §5.3: the first message on a connection is a CSM.
    else if (!isIntroduced) abort('a CSM comes first');
    // §3.4: an empty message is nothing but a sign of life; responses answer nothing that was asked.
    else if (code !== CODE.EMPTY && code >> 5 === 0) void requested({ ...message, token: Buffer.from(message.token) });
  }

  return {
    read(chunk) {
      if (isOver) return;
      let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      try {
        for (
          let found = readMessage(bytes, deps.maximumBytes);
          found !== undefined && !isOver;
          found = readMessage(bytes, deps.maximumBytes)
        ) {
          bytes = bytes.subarray(found.end);
          heard(found.message);
        }
      } catch (error) {
        if (!(error instanceof Broken)) throw error;
        abort(error.message);
      }
      rest = bytes;
    },
  };
}
