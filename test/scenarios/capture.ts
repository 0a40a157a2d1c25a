// A packet capture on loopback (AF_PACKET by tcpdump) and what an eavesdropper finds in it.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { findCommand } from '../../scripts/bootstrap/debian.ts';
import { waitFor } from '../harness/wait.ts';

export type Captured = {
  packets: number;
  /** Packets that the kernel could not hand over: with any, an absence proves nothing. */
  dropped: number;
  /** Bytes of payload that went to or from this port. */
  bytesAt(port: number): number;
  /** The names of the markers whose bytes occur, with the port where. Streams are put together again, so a marker may span packets. */
  find(markers: ReadonlyMap<string, Buffer>): string[];
};

/** Why this machine cannot capture, in one sentence; undefined when it can. */
export function whyNoCapture(): string | undefined {
  if (process.platform !== 'linux') return `a packet capture needs Linux; this is ${process.platform}`;
  return process.getuid?.() === 0 ? undefined : 'a packet capture needs root';
}

/** Captures the TCP traffic of these ports until `stop`; resolves when the capture has begun. */
export async function startCapture(ports: readonly number[], file: string): Promise<{ stop(): Promise<Captured> }> {
  const last = await lastWord();
  const filter = `tcp and (${[...ports, last.port].map((port) => `port ${port}`).join(' or ')})`;
  // Each packet takes a place as long as the snapshot: one that holds the 64 KiB of the loopback interface, 4,000 of them.
  const args = ['-i', 'lo', '-s', '66000', '-B', '262144', '-U', '--immediate-mode', '-Z', 'root', '-w', file, filter];
  const child = spawn(findCommand('tcpdump') ?? 'tcpdump', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => reject(new Error(`tcpdump ended: ${said}`)));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
      if (said.includes('listening on')) resolve();
    });
  });
  return {
    async stop() {
      last.say();
      // Packets come in order: when this one is in the file, so is everything before it.
      await waitFor('the capture to catch up', async () => ((await readFile(file)).includes(last.word) ? true : undefined));
      last.close();
      child.kill('SIGINT');
      await ended;
      const dropped = Number(/(\d+) packets? dropped by kernel/.exec(said)?.[1] ?? Number.NaN);
      return capturedFrom(await readFile(file), dropped);
    },
  };
}

/** A connection to ourselves, over which the end of the capture is told. */
async function lastWord(): Promise<{ port: number; word: Buffer; say(): void; close(): void }> {
  const word = Buffer.from(`end of capture ${randomUUID()}`);
  const server = createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    word,
    say: () => void connect(port, '127.0.0.1').end(word),
    close: () => void server.close(),
  };
}

const PCAP_HEADER = 24;
const RECORD_HEADER = 16;
const MAGIC = 0xa1b2c3d4;
const LINK_ETHERNET = 1;

/** Reads the classic pcap format (draft-ietf-opsawg-pcap), little endian as tcpdump writes it here. */
export function capturedFrom(file: Buffer, dropped: number): Captured {
  if (file.readUInt32LE(0) !== MAGIC || file.readUInt32LE(20) !== LINK_ETHERNET) throw new Error('not a capture of Ethernet frames');
  const streams = new Map<string, { ports: [number, number]; chunks: Buffer[] }>();
  let packets = 0;
  for (let at = PCAP_HEADER; at + RECORD_HEADER <= file.length; ) {
    const length = file.readUInt32LE(at + 8);
    const segment = segmentOf(file.subarray(at + RECORD_HEADER, at + RECORD_HEADER + length));
    at += RECORD_HEADER + length;
    packets += 1;
    if (segment === undefined || segment.payload.length === 0) continue;
    const stream = streams.get(segment.stream) ?? { ports: segment.ports, chunks: [] };
    stream.chunks.push(segment.payload);
    streams.set(segment.stream, stream);
  }
  const whole = [...streams.values()].map(({ ports, chunks }) => ({ ports, bytes: Buffer.concat(chunks) }));
  return {
    packets,
    dropped,
    bytesAt: (port) => whole.filter(({ ports }) => ports.includes(port)).reduce((sum, { bytes }) => sum + bytes.length, 0),
    find: (markers) => [
      ...new Set(
        whole.flatMap(({ ports, bytes }) =>
          [...markers].filter(([, marker]) => bytes.includes(marker)).map(([name]) => `${name} at ${Math.min(...ports)}`),
        ),
      ),
    ],
  };
}

/** The TCP payload of an Ethernet frame with IPv4 or IPv6 in it. Loopback neither reorders nor loses, so payloads in the order captured are the stream. */
function segmentOf(frame: Buffer): { stream: string; ports: [number, number]; payload: Buffer } | undefined {
  const type = frame.readUInt16BE(12);
  if (type !== 0x0800 && type !== 0x86dd) return undefined;
  const ip = frame.subarray(14);
  const [head, end] = type === 0x0800 ? [((ip[0] ?? 0) & 0x0f) * 4, ip.readUInt16BE(2)] : [40, 40 + ip.readUInt16BE(4)];
  const tcp = ip.subarray(head, end);
  const ports: [number, number] = [tcp.readUInt16BE(0), tcp.readUInt16BE(2)];
  return { stream: `${ports[0]}>${ports[1]}`, ports, payload: tcp.subarray(((tcp[12] ?? 0) >> 4) * 4) };
}
