// The door of the firmware room: what a FirmwareRelease does to which devices, and what its gates can show.
import { sampleToPass as samplePart } from './gate.ts';
import { type Candidate as CandidatePart, planWaves as planPart, type Step as StepPart, type WavePlan as WavePlanPart } from './waves.ts';

export type Candidate = CandidatePart;
export type Step = StepPart;
export type WavePlan = WavePlanPart;
export const planWaves = planPart;
export const sampleToPass = samplePart;
