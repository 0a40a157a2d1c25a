// `kubectl hedgerow command sign`: one command to one device as bytes to publish, for a person or a service that has a Device of its own. Asks neither cluster nor broker.
import { randomBytes } from 'node:crypto';
import { commandProblem, commandTopic, type Command as DeviceCommand, nextSeq, readCommandSigner } from '../api/command.ts';
import { durationMs } from '../api/duration.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import type { Command } from './command.ts';
import { CliError } from './errors.ts';
import { OUTPUT_FLAG, required, TEXT, text, wantsJson } from './flags.ts';
import { type Values, WrongUse } from './parse.ts';
import { textOfFile } from './text-file.ts';

const WIRE = /^[a-z0-9-]{1,62}\.[a-z0-9-]{1,62}$/;

export const commandSign: Command = {
  words: ['command', 'sign'],
  operand: 'DEVICE',
  summary: 'a signed command to a device, as bytes to publish at the broker',
  help: `usage: kubectl hedgerow command sign DEVICE --segment SEGMENT --name NAME --cert FILE --key FILE [FLAG…]

Signs a command with the key of a Device that DEVICE has a grant for, and prints the envelope; where to publish it goes to stderr. Asks neither cluster nor broker.
DEVICE is <device>.<namespace>. Each call makes another command: the device does each once.

  --segment SEGMENT      <segment>.<namespace> of the device (required)
  --name NAME            the command (required)
  --args JSON            what goes with it, an object (default: {})
  --valid-for DURATION   the device does not do it later, at most 1h (default: 60s)
  --cert FILE            certificate of the sender with its issuers, PEM (required)
  --key FILE             its key, PEM (required)
  --output, -o json      topic, message expiry in seconds and envelope in one object

Exit codes: 0 signed; 1 not, the line on stderr has code and cure; 2 wrong use.
`,
  flags: {
    ...{ segment: TEXT, name: TEXT, args: TEXT, 'valid-for': TEXT, cert: TEXT, key: TEXT },
    ...OUTPUT_FLAG,
    help: { type: 'boolean', short: 'h' },
  },
  async run(values, { out, err }) {
    const json = wantsJson(values);
    const [segment, command] = [wireName(values, 'segment'), commandOf(values, systemClock)];
    const problem = commandProblem(command);
    if (problem !== undefined) throw new CliError('HR-CLI-098', problem);
    const [key, cert] = [await textOfFile(required(values, 'key')), await textOfFile(required(values, 'cert'))];
    const signer = readCommandSigner(key, cert);
    if ('problem' in signer) throw new CliError('HR-CLI-099', signer.problem);
    const envelope = signer.sign(command).toString();
    const topic = commandTopic(segment, command);
    const expirySeconds = (command.exp - command.iat) / 1000;
    if (json) out(`${JSON.stringify({ topic, expirySeconds, envelope })}\n`);
    else {
      out(`${envelope}\n`);
      err(`as ${signer.sender}, at ${topic} with QoS 1, within ${expirySeconds} s\n`);
    }
    return 0;
  },
};

function commandOf(values: Values, clock: Pick<Clock, 'now'>): DeviceCommand {
  const validMs = durationMs(text(values, 'valid-for') ?? '60s');
  if (validMs === undefined) throw new WrongUse('--valid-for is no duration such as 60s or 10m');
  const now = clock.now();
  return {
    ...{ v: 1, aud: wireName(values, 'DEVICE'), seq: nextSeq(now, 0), nonce: randomBytes(16).toString('hex') },
    ...{ iat: now, exp: now + validMs, name: required(values, 'name'), args: argsOf(text(values, 'args') ?? '{}') },
  };
}

function argsOf(given: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(given);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // The same complaint: what was typed is no object.
  }
  throw new WrongUse('--args is no JSON object');
}

function wireName(values: Values, flag: string): string {
  const name = required(values, flag);
  if (WIRE.test(name)) return name;
  throw new WrongUse(`${flag === 'DEVICE' ? flag : `--${flag}`} is written with its namespace, for example fan-1.berlin`);
}
