// Messages of devices in which every field that a device fills has a text or a number that occurs nowhere else. Repeatable: the same seed gives the same messages.
import { encode as encodeCbor } from 'cborg';
import { type Random, seededRandom } from '../../../operator/runtime/random.ts';
import type { Said } from './site-broker.ts';
import { textToken } from './tokens.ts';

/** `isGood`: nothing is wrong with it, so that a gateway has to take it. Tokens are those of this message alone. */
export type Fuzzed = Said & { device: string; isGood: boolean; texts: string[]; numbers: number[] };

export type Fuzz = {
  /** `<device>.<site>` of each, with a token in it; more of each device that are its own: its label, its uid. */
  devices: readonly { name: string; uid: string; label: string; boot: number }[];
  messages(count: number): Generator<Fuzzed>;
};

type Options = { seed: number; site: string; segment: string; devices: number; startMs: number; stepMs: number };

/** A 15-digit number is one that nobody counts to, and exact in a double. */
const BIG = 100_000_000_000_000;

export function createFuzz({ seed, site, segment, devices: many, startMs, stepMs }: Options): Fuzz {
  const random = seededRandom(seed);
  const tokens = tokensOf(random, seed);
  const devices = Array.from({ length: many }, () => ({
    ...{ name: `${tokens.text()}.${site}`, uid: tokens.text(), label: tokens.text(), boot: tokens.integer() },
    seq: tokens.integer(),
  }));

  function* messages(count: number): Generator<Fuzzed> {
    const replays: Fuzzed[] = [];
    for (let at = 0; at < count; at++) {
      const device = devices[at % many];
      if (device === undefined) return;
      const old = at % 20 === 19 ? replays[Math.floor(random() * replays.length)] : undefined;
      if (old !== undefined) {
        // Word for word, with no token that was not counted before.
        yield { ...old, isGood: false, texts: [], numbers: [] };
        continue;
      }
      device.seq += 1;
      const mine = collect(tokens);
      const envelope = { v: 1, boot: device.boot, seq: mine.keep(device.seq), ts: Math.round(startMs + at * stepMs) };
      const said = shapeOf(random())({ device: device.name, segment, envelope, mine, random, tokens });
      const fuzzed = { ...said, device: device.name, texts: mine.texts, numbers: mine.numbers };
      if (said.isGood && replays.length < 1_000) replays.push(fuzzed);
      yield fuzzed;
    }
  }
  return { devices: devices.map(({ seq: _, ...device }) => device), messages };
}

function tokensOf(random: Random, seed: number) {
  // Of each seed others, with room for ten million.
  let next = seed * 10_000_000;
  return {
    text: (): string => textToken(next++),
    integer: (): number => BIG + Math.floor(random() * 8 * BIG),
    /** Around 21, as a room is warm, with digits that no other has. */
    reading: (): number => 21 + Math.round((random() - 0.5) * 2e12) / 1e12,
  };
}
type MakeTokens = ReturnType<typeof tokensOf>;

function collect(tokens: MakeTokens) {
  const [texts, numbers]: [string[], number[]] = [[], []];
  return {
    texts,
    numbers,
    text(): string {
      texts.push(tokens.text());
      return texts.at(-1) ?? '';
    },
    keep(number: number): number {
      numbers.push(number);
      return number;
    },
    reading(): number {
      return this.keep(tokens.reading());
    },
  };
}

type Making = {
  device: string;
  segment: string;
  envelope: { v: number; boot: number; seq: number; ts: number };
  mine: ReturnType<typeof collect>;
  random: Random;
  tokens: MakeTokens;
};
type Shape = (making: Making) => Said & { isGood: boolean };

/** Which share of the messages has which shape. */
function shapeOf(share: number): Shape {
  const found = SHAPES.find(([upTo]) => share < upTo);
  return found?.[1] ?? climate;
}

const climate: Shape = (o) => good(o, 'climate', { celsius: o.mine.reading(), humidity: o.mine.reading(), note: o.mine.text() });

const nested: Shape = ({ mine, ...o }) => {
  const inner = { list: [mine.reading(), mine.text(), [mine.text()]], deep: { er: { still: mine.reading(), said: mine.text() } } };
  return good({ mine, ...o }, 'climate', { celsius: mine.reading(), inner, ok: true, nothing: null });
};

/** Binary, with bytes and a text as one does not write it in JSON. */
const binary: Shape = ({ mine, ...o }) => {
  const m = { celsius: mine.reading(), note: mine.text(), blob: Buffer.from(mine.text()) };
  return { ...good({ mine, ...o }, 'climate', m), payload: Buffer.from(encodeCbor({ ...o.envelope, m })) };
};

/** Keys and streams are texts of the device too. */
const ownKeys: Shape = ({ mine, ...o }) => good({ mine, ...o }, 'climate', { celsius: mine.reading(), [mine.text()]: mine.reading() });
const ownStream: Shape = ({ mine, ...o }) => good({ mine, ...o }, mine.text(), mine.reading());

/** Outside the range of the segment: an alert about it leaves, the value does not. */
const alarming: Shape = (o) => good(o, 'climate', { celsius: o.mine.keep(o.tokens.reading() + 500), note: o.mine.text() });

const againstSchema: Shape = ({ mine, ...o }) =>
  bad(good({ mine, ...o }, 'strict', { celsius: mine.text(), [mine.text()]: mine.reading() }));
const noJson: Shape = ({ mine, ...o }) => bad({ ...good({ mine, ...o }, 'climate', 0), payload: Buffer.from(`{"m":"${mine.text()}`) });
const noEnvelope: Shape = ({ mine, ...o }) =>
  bad({ ...good({ mine, ...o }, 'climate', 0), payload: Buffer.from(JSON.stringify({ celsius: mine.text() })) });
const tooLarge: Shape = ({ mine, ...o }) => bad(good({ mine, ...o }, 'climate', { note: mine.text(), pad: 'x'.repeat(4_096) }));
const ofNobody: Shape = ({ mine, ...o }) =>
  bad({ ...good({ mine, ...o }, 'climate', { note: mine.text() }), topic: `dt/${o.segment}/${mine.text()}.x/climate` });

const SHAPES: readonly (readonly [upTo: number, Shape])[] = [
  [0.5, climate],
  [0.62, nested],
  [0.78, binary],
  [0.82, ownKeys],
  [0.85, ownStream],
  [0.86, alarming],
  [0.9, againstSchema],
  [0.93, noJson],
  [0.96, noEnvelope],
  [0.97, tooLarge],
  [1, ofNobody],
];

function good({ device, segment, envelope }: Making, stream: string, m: unknown): Said & { isGood: boolean } {
  return { topic: `dt/${segment}/${device}/${stream}`, payload: Buffer.from(JSON.stringify({ ...envelope, m })), isGood: true };
}

const bad = (said: Said): Said & { isGood: boolean } => ({ ...said, isGood: false });
