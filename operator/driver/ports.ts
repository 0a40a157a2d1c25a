// What the loop of a driver needs from the world. Each has one file that is real; tests have others.
import type { FirmwareRecord } from '../api/device.ts';
import type { FirmwareWaveSpec } from '../api/firmware-wave.ts';
import type { DeviceEnd } from './core.ts';
import type { DeviceFacts } from './row.ts';
import type { Counts } from './sets.ts';

export type Message = { topic: string; bytes: Uint8Array; properties: Record<string, unknown>; isRetained: boolean };

export type MqttPort = {
  /** Retained, at QoS 1. Resolves when the broker has it; rejects when the connection ends before. */
  publish(topic: string, bytes: Uint8Array, properties: Record<string, string>): Promise<void>;
  /** Messages in turns by device: one that sends without end is not before the others. At most `most`; empty: nothing has come. */
  take(most: number): Message[];
  /** Called when something has come, when the subscriptions stand anew, and when they are lost. */
  onChange(listener: (what: 'Message' | 'Connected' | 'Lost') => void): void;
  close(): Promise<void>;
};

export type DeviceChange = { uid: string; facts: DeviceFacts | undefined };

export type DevicesPort = {
  /** Called for every Device of the site, and for every change of one. */
  onChange(listener: (change: DeviceChange) => void): void;
  whenSynced(signal: AbortSignal): Promise<void>;
  /** What stands in the status then: the record, or another of the same release that was there before. Undefined: the Device is gone. */
  record(end: DeviceEnd, signal: AbortSignal): Promise<FirmwareRecord | undefined>;
};

export type ShardReport = {
  index: number;
  phase: 'Running' | 'Done';
  fence: number;
  counts: Counts;
  failureSamples: { device: string; code: string; time: string }[];
  lastReportTime: string;
};

/** Over: it is deleted, completed or aborted. Changed: another decision has taken its place. */
export type WaveChange = { how: 'Over' | 'Changed' } | { how: 'Paced'; spec: FirmwareWaveSpec };

export type WavePort = {
  onChange(listener: (change: WaveChange) => void): void;
  report(shard: ShardReport, signal: AbortSignal): Promise<void>;
};

export type LeasePort = {
  /** Whether this process may act. Looked at before each batch. */
  held(): boolean;
};
