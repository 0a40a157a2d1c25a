// The door of the firmware room: what a FirmwareRelease does to which devices, and what its gates can show.
import { sampleToPass as samplePart } from './gate.ts';
import { leastTime as leastTimePart } from './offers.ts';
import { spanMs as spanPart, spanText as spanTextPart } from './span.ts';
import { type Candidate as CandidatePart, planWaves as planPart, type Step as StepPart, type WavePlan as WavePlanPart } from './waves.ts';
import { windowFault as windowFaultPart, windowAt as windowPart } from './windows.ts';

export type Candidate = CandidatePart;
export type Step = StepPart;
export type WavePlan = WavePlanPart;
export const planWaves = planPart;
export const sampleToPass = samplePart;
export const leastTime = leastTimePart;
export const spanMs = spanPart;
export const spanText = spanTextPart;
export const windowAt = windowPart;
export const windowFault = windowFaultPart;
